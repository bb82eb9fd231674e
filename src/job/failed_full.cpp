#include "job/failed_full.h"

#include "base/error.h"
#include "job/mark.h"
#include "repo/intents.h"
#include "repo/layout.h"
#include "repo/planner.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using base::Error;

namespace {

constexpr base::Duration kLongestPause = std::chrono::hours{24};
/// Whoever waits for this one has nothing new that can be restored, and the tries before it may
/// have been the schedule's.
constexpr base::Duration kLongestNeededPause = std::chrono::hours{1};
constexpr base::Duration kScheduledPause = std::chrono::hours{1};
constexpr base::Duration kNeededPause = std::chrono::minutes{5};
/// A failure further ahead of now than this comes from a clock that was wrong.
constexpr base::Duration kFailureSlack = std::chrono::minutes{5};

bool names(const repo::StoredSet& set, const repo::StoredManifest& backup)
{
    auto part = set.value.members.find(backup.value.member);
    return part != set.value.members.end() && part->second.backup == backup.number();
}

bool is_closed(const repo::RepositoryView& view, const repo::StoredManifest& backup)
{
    return std::ranges::any_of(view.sets, [&](const auto& set) { return names(set, backup); });
}

/// A set that cannot be read may name any backup.
bool sets_are_known(const repo::RepositoryView& view)
{
    return std::ranges::none_of(view.unreadable, [](const auto& one) {
        auto key = repo::parse_key(one.first);
        return key && key->kind == repo::KeyKind::set;
    });
}

/// Can the member be brought to the end of this backup with its other ones? They may belong to no
/// set either: of those one is enough.
bool reached_without(repo::RepositoryView view, const repo::StoredManifest& backup)
{
    const model::Manifest& value = backup.value;
    auto member = view.members.find(value.member);
    if (member == view.members.end()) return false;
    std::erase_if(member->second.backups,
                  [&](const auto& one) { return one.number() == backup.number(); });
    repo::Planner planner{view, false};
    return planner.reachable({.member = value.member,
                              .history = value.history,
                              .target = value.stop,
                              .log_to = value.stop,
                              .system_id = value.identity.system_id});
}

bool is_read(store::Storage& storage, const repo::StoredManifest& backup)
{
    auto now = storage.now();
    return std::ranges::any_of(
        repo::list_intents(storage, backup.value.group), [&](const repo::StoredIntent& one) {
            if (!one.in_force(now)) return false;
            auto reads = one.value.reads.find(backup.value.member);
            return !one.readable ||
                   (reads != one.value.reads.end() &&
                    std::ranges::count(reads->second.backups, backup.number()) != 0);
        });
}

/// The commit object first: what is left when this stops in the middle is named by nobody.
void remove_backup(const Context& context, const repo::StoredManifest& backup)
{
    auto& storage = context.storage();
    model::MemberId id{.group = backup.value.group, .member = backup.value.member};
    auto lease = repo::Lease::acquire(storage, id.group, "backup/" + id.member, context.owner(),
                                      {.ttl = context.lease_ttl});
    auto newest = repo::Backups(storage, id).list(1);
    // A later one names it as its predecessor.
    if (newest.empty() || newest.front().object != backup.object) return;
    lease->check();
    storage.remove(backup.object.key);
    storage.remove(backup.value.page_map.key);
    for (const auto& pack : backup.value.packs)
        storage.remove(pack.key);
}

} // namespace

FailedFulls read_failed_fulls(store::Storage& storage, const repo::RepositoryView& view)
{
    auto lease = repo::read_lease(storage, view.group, kFullActivity);
    if (!lease || lease->tries == 0 || is_in_force(*lease, storage.now())) return {};
    // It was closed, and only its lease could not be given back.
    for (const auto& set : view.sets)
        if (set.value.kind == model::SetKind::full && set.value.ended > lease->since) return {};
    return {.count = lease->tries, .since = lease->since, .last = lease->renewed};
}

std::optional<base::Time> paused_until(const FailedFulls& failed, Need need, base::Time now)
{
    if (failed.count == 0 || failed.last > now + kFailureSlack) return std::nullopt;
    auto pause = need == Need::chain ? kNeededPause : kScheduledPause;
    auto longest = need == Need::chain ? kLongestNeededPause : kLongestPause;
    for (std::uint64_t i = 1; i < failed.count && pause < longest; ++i)
        pause *= 2;
    auto until = failed.last + std::min(pause, longest);
    return now < until ? std::optional{until} : std::nullopt;
}

void take_back(const Context& context, const BackupOutcome& outcome)
{
    auto finished = [](const BackupOutcome::Member& one) { return one.manifest.number() != 0; };
    if (std::ranges::none_of(outcome.members, finished)) return;
    try {
        // Whether an older backup reaches as far is known when the log up to there is stored.
        back_up_log(context);
    } catch (const Error& error) {
        context.progress.note(
            fmt::format("no log backup after the full backup failed: {}", error.what()));
    }
    for (const auto& member : outcome.members) {
        if (!finished(member)) continue;
        const auto& backup = member.manifest;
        try {
            auto view = repo::load_view(context.storage(), context.group.name,
                                        {.marks = 1, .proofs = false});
            if (!sets_are_known(view) || is_closed(view, backup)) return;
            if (!reached_without(view, backup) || is_read(context.storage(), backup)) continue;
            remove_backup(context, backup);
            context.progress.note(fmt::format("{}: its base backup b-{} is removed again: it "
                                              "belongs to no set, and an older one does as well",
                                              member.name, backup.number()));
        } catch (const Error& error) {
            context.progress.note(
                fmt::format("{}: what the failed full backup wrote stays until retention removes "
                            "it: {}",
                            member.name, error.what()));
        }
    }
}

} // namespace tidemark::job
