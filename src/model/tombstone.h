#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "model/log_position.h"

#include <map>
#include <string>
#include <vector>

namespace tidemark::model {

/// Numbers [first, last].
struct NumberRange {
    Number first = 0;
    Number last = 0;
    friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

/// What `expire` is about to remove, and all that it ever removed. Nothing is removed before it was
/// named here and enough time has passed (rules.md 32).
struct Tombstone {
    std::string group = {};
    base::Time created = {};               ///< by the store's clock
    std::vector<std::string> commits = {}; ///< keys, in the order in which they go
    std::vector<std::string> data = {};    ///< keys that nothing refers to once `commits` are gone
    /// Why numbers are absent: by sequence ("marks", "members/orders/backups"), ascending.
    std::map<std::string, std::vector<NumberRange>> gone = {};
    /// Log that no piece holds any more, by member.
    std::map<std::string, std::vector<LogRange>> log_gone = {};
    friend bool operator==(const Tombstone&, const Tombstone&) = default;
};

} // namespace tidemark::model
