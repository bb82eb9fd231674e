#pragma once

#include "base/clock.h"
#include "model/log_position.h"
#include "model/object_ref.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

enum class SetKind : std::uint8_t { full = 1, log = 2 };

/// A log piece as a set names it: the hash that every later reader checks.
struct PieceRef {
    LogRange range;
    ObjectRef object;
    friend bool operator==(const PieceRef&, const PieceRef&) = default;
};

/// What one run contributed for one member.
struct SetMember {
    std::optional<std::uint64_t> backup; ///< number of the base backup taken by this run
    std::vector<PieceRef> pieces;        ///< new since the previous set, in log order
    std::optional<LogPosition> log_from; ///< oldest byte of `pieces`; absent without pieces
    std::optional<LogPosition> log_to;   ///< where the durable log ended when the set was closed
    friend bool operator==(const SetMember&, const SetMember&) = default;
};

/// What one run of the job produced for all members. Written last: its presence is "complete".
struct BackupSet {
    std::string group;
    SetKind kind = SetKind::log;
    std::uint64_t mark = 0; ///< number of the mark that closes it
    base::Time started;
    base::Time ended;
    std::map<std::string, SetMember> members; ///< by name
    friend bool operator==(const BackupSet&, const BackupSet&) = default;
};

} // namespace tidemark::model
