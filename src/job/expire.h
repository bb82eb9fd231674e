#pragma once

#include "job/context.h"
#include "job/expire_survey.h"

#include <functional>
#include <optional>

namespace tidemark::job {

struct ExpireOptions {
    bool plan_only = false; ///< decide and tell, change nothing
    /// Wait for what may go soon; without it the next expire removes it.
    bool wait = true;
    /// Longer than any lease plus the error of clocks: whoever was about to refer to something has
    /// seen the tombstone, or shows in the second look (rules.md 32).
    base::Duration settle = std::chrono::minutes{2};
    /// How long data stays after its tombstone: somebody may be reading it. At least `settle`.
    base::Duration grace = std::chrono::hours{24};
    base::Duration join_after = std::chrono::hours{1};
    std::size_t join_at_least = 8;
    std::set<model::Number> proven = {};
    /// How time passes; empty: it really does.
    std::function<void(base::Duration)> sleep = {};
};

struct ExpireReport {
    Survey survey;          ///< the last look: why everything stays or goes
    std::size_t joined = 0; ///< small log pieces that a larger one stands for now
    std::size_t made = 0;
    std::size_t condemned = 0; ///< objects newly named by a tombstone
    std::size_t removed = 0;
    std::uint64_t removed_bytes = 0;
    std::size_t waiting = 0;        ///< condemned objects that are still there
    std::optional<base::Time> next; ///< when the first of these may go
};

/// Retention of one group, under the lease "expire": decide, write a tombstone, wait, look again,
/// remove commit objects, and data after its grace. Safe beside every other job, and to stop at any
/// moment: the next one goes on. In a store that is full it removes what earlier ones named, and
/// has a reserve to name more. Errors: lease_held; nothing of the group is touched then.
ExpireReport expire(const Context& context, const ExpireOptions& options);

/// For the scheduled run: the same without waiting, at most once in `every` (by the expire lease's
/// own time); nothing when it is not due or another process does it.
std::optional<ExpireReport> expire_when_due(const Context& context, ExpireOptions options = {},
                                            base::Duration every = std::chrono::hours{1});

} // namespace tidemark::job
