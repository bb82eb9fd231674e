#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "model/log_position.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// What a job reads of one member for as long as it runs.
struct IntentReads {
    std::vector<Number> backups = {}; ///< the base backup, and every one whose packs it points into
    std::vector<LogRange> log = {};
    friend bool operator==(const IntentReads&, const IntentReads&) = default;
};

/// A job's word that it is reading: retention leaves it alone until it ends or runs out. It may
/// outlive a job that was killed, so that the same command can go on.
struct Intent {
    Number number = 0; ///< of the object; a renewal is the next one
    std::string group = {};
    std::string token = {}; ///< tells an owner's objects from others'
    bool over = false;      ///< withdrawn
    std::string command = {};
    std::string host = {};
    base::Time since = {};
    base::Duration ttl{};            ///< after the object was made, by the store's clock
    std::optional<Number> mark = {}; ///< where the restore goes, unless it is a moment
    std::map<std::string, IntentReads> reads = {}; ///< by member
    friend bool operator==(const Intent&, const Intent&) = default;
};

} // namespace tidemark::model
