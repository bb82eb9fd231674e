#pragma once

#include "base/clock.h"
#include "model/branch.h"
#include "model/gid_pattern.h"
#include "model/log_events.h"
#include "model/log_position.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// Positions read on all members in one go, by member. In a sequence of sweeps each is read
/// completely before the next begins; that is what orders events of different members without
/// clocks.
using Sweep = std::map<std::string, Offset>;

/// How far a member's clock stood from ours, and how sure we are: the true difference lies within
/// offset +- error. Half the round trip of one `SELECT clock_timestamp()` is an error that holds.
struct ClockReading {
    base::Duration offset{}; ///< member's clock minus ours
    base::Duration error{};
    friend bool operator==(const ClockReading&, const ClockReading&) = default;
};

/// The table that every mark carries to the next (rules.md 4): which branches a later cut still has
/// to know about. docs/consistency.md says why exactly these. A value; stored inside the mark.
struct OpenTransactions {
    struct Member {
        Epoch epoch = 0;
        /// The mark's vectors. The table knows the log of this member up to `e`.
        Offset b = 0;
        Offset r = 0;
        Offset e = 0;
        /// Whatever starts here or later was written when the logs of all members were already
        /// kept, and they have no gap since: a rollback verdict needs it. Set on all members or on
        /// none.
        std::optional<Offset> complete_from = {};
        std::optional<ClockReading> clock = {};
        /// The pattern by which the table was made; empty: not known.
        std::string gid_pattern = {};
        friend bool operator==(const Member&, const Member&) = default;
    };
    std::map<std::string, Member> members = {};
    std::vector<Branch> branches = {};                ///< by member, then by prepare position
    std::vector<UnknownFinish> unknown_finishes = {}; ///< those that the mark does not contain
    friend bool operator==(const OpenTransactions&, const OpenTransactions&) = default;
};

/// What is known of one member's log beyond the table.
struct MemberLog {
    std::string name = {};
    History history{}; ///< all positions of this member lie on it
    /// The log is kept without a gap from here to its end. A gap since the previous mark shows as a
    /// value beyond that mark's e; the chain start for a member that has just joined.
    Offset complete_since = 0;
    GidPattern pattern = {};
    /// Prepared transactions found when the chain began (at init, on joining, after a gap).
    std::vector<Seed> seeds = {};
    /// In log order. Those that end at or before the table's e (for a new member: before
    /// complete_since) are passed over, so the caller may give whole pieces.
    std::vector<TransactionEvent> events = {};
    std::optional<ClockReading> clock = {};
};

/// Two readings of one clock, `apart` from each other, as one: tighter than both when they agree,
/// wide enough for both when the clock was set in between.
ClockReading combine(const ClockReading& before, const ClockReading& now, base::Duration apart);

/// The same of two clocks, such as those of the servers before and behind a failover: wide enough
/// for both.
ClockReading cover(const ClockReading& before, const ClockReading& now, base::Duration apart);

} // namespace tidemark::model
