#pragma once

#include "job/group_log.h"
#include "repo/marks.h"
#include "repo/sets.h"

#include <map>
#include <string>

namespace tidemark::job {

struct MarkOptions {
    std::string name; ///< what a person calls it; may be empty
    /// Base backups that the set shall contain, by member: number and stop position (rules.md 10).
    struct Taken {
        std::uint64_t backup = 0;
        model::LogPosition stop;
    };
    std::map<std::string, Taken> backups = {};
    base::Time started = {}; ///< of the run; unset = now
};

struct MarkOutcome {
    repo::StoredMark mark;
    repo::StoredSet set;
    std::uint64_t log_bytes = 0; ///< received by this run
    /// When the restore points were asked for and had all answered, by this process's steady clock.
    std::chrono::steady_clock::time_point first_sent;
    std::chrono::steady_clock::time_point last_answered;
    /// From first_sent until the mark and its set were durable in the repository.
    base::Duration to_durable{};
};

/// Error{usage} unless the group's next mark can be called `name` ("" always can): names are unique
/// in a group, and with what makes a restore point's name of them at most 63 bytes (rules.md 9).
/// Placing a mark asks again, under the lease "log", before anything is placed.
void check_mark_name(const Context& context, const std::string& name);

/// A consistent mark: log up to now, restore points on all members at once, log up to the bounds,
/// the cut, the mark, the backup set. Errors: mark_not_placed (nothing is visible), log_gap,
/// identity_mismatch, member_unreachable.
MarkOutcome place_mark(const Context& context, const MarkOptions& options);

/// The same with log receivers that are open already.
MarkOutcome place_mark(const Context& context, GroupLog& log, const MarkOptions& options);

struct LogOutcome {
    struct Member {
        std::string name;
        model::LogPosition end;
        std::uint64_t bytes = 0;
        std::size_t pieces = 0;
    };
    std::vector<Member> members;
};
/// Log backups up to now, no mark.
LogOutcome back_up_log(const Context& context);

} // namespace tidemark::job
