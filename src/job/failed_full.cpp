#include "job/failed_full.h"

#include "repo/layout.h"
#include "repo/lease.h"
#include "repo/restore_plan.h"

#include <algorithm>

namespace tidemark::job {

namespace {

constexpr base::Duration kLongestPause = std::chrono::hours{24};
/// Whoever waits for this one has nothing new that can be restored.
constexpr base::Duration kLongestNeededPause = std::chrono::hours{1};
constexpr base::Duration kScheduledPause = std::chrono::hours{1};
constexpr base::Duration kNeededPause = std::chrono::minutes{5};
/// A failure further ahead of now than this comes from a clock that was wrong.
constexpr base::Duration kFailureSlack = std::chrono::minutes{5};

/// By the store's clock, as leases: that of a member may differ. Never true of what failed to heal
/// the chain, for no mark behind the gap can be restored then.
bool restorable_since(store::Storage& storage, const repo::RepositoryView& view, base::Time last)
{
    auto number = repo::newest_restorable(view);
    if (!number) return false;
    auto mark = storage.stat(repo::mark_key(view.group, *number));
    return mark && mark->modified > last;
}

} // namespace

FailedFulls read_failed_fulls(store::Storage& storage, const repo::RepositoryView& view)
{
    auto lease = repo::read_lease(storage, view.group, kFullActivity);
    if (!lease || lease->tries == 0) return {};
    // It was closed, and only its lease could not be given back.
    for (const auto& set : view.sets)
        if (set.value.kind == model::SetKind::full && set.value.ended > lease->since) return {};
    FailedFulls out;
    if (is_in_force(*lease, storage.now())) {
        out.before_running = lease->tries - 1;
        return out;
    }
    out.count = lease->tries;
    out.since = lease->since;
    out.last = lease->renewed;
    out.before_break = restorable_since(storage, view, lease->renewed);
    return out;
}

std::optional<base::Time> paused_until(const FailedFulls& failed, Need need, base::Time now)
{
    if (failed.count == 0 || failed.last > now + kFailureSlack) return std::nullopt;
    if (need == Need::chain && failed.before_break) return std::nullopt;
    auto pause = need == Need::chain ? kNeededPause : kScheduledPause;
    auto longest = need == Need::chain ? kLongestNeededPause : kLongestPause;
    for (std::uint64_t i = 1; i < failed.count && pause < longest; ++i)
        pause *= 2;
    auto until = failed.last + std::min(pause, longest);
    return now < until ? std::optional{until} : std::nullopt;
}

} // namespace tidemark::job
