#include "job/reading.h"

#include "base/error.h"
#include "model/log_ranges.h"
#include "repo/layout.h"
#include "repo/tombstones.h"

#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

model::Intent intent_of(const Context& context, const repo::RestorePlan& plan)
{
    model::Intent out{.group = plan.group, .command = context.command, .host = context.host};
    // A moment that nobody recorded has no number.
    if (plan.mark && plan.mark->number() != 0) out.mark = plan.mark->number();
    for (const auto& [name, member] : plan.members) {
        auto& reads = out.reads[name];
        std::set<model::Number> backups{member.backup.number()};
        for (const auto& pack : member.backup.value.packs)
            if (auto key = repo::parse_key(pack.key)) backups.insert(key->number);
        reads.backups.assign(backups.begin(), backups.end());
        // Whole pieces, also what a member lost after its mark: the report counts it.
        for (const auto& piece : member.pieces)
            reads.log.push_back(piece.piece.range);
        reads.log = model::merge_ranges(std::move(reads.log));
    }
    return out;
}

std::set<std::string> keys_of(const repo::RestorePlan& plan)
{
    std::set<std::string> out;
    for (const auto& [name, member] : plan.members) {
        out.insert(member.backup.value.page_map.key);
        for (const auto& pack : member.backup.value.packs)
            out.insert(pack.key);
        for (const auto& piece : member.pieces)
            out.insert(piece.piece.key);
    }
    return out;
}

/// Until the `expire` that is at work now has ended: later ones see the intent.
void wait_for_expire(const Context& context, const std::string& group)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    std::optional<model::Number> term;
    while (true) {
        auto lease = repo::read_lease(context.storage(), group, "expire");
        if (!lease || !is_in_force(*lease, context.storage().now())) return;
        if (!term)
            context.progress.note(fmt::format("`{}` on {} is removing objects that this restore "
                                              "needs since {}; waiting for it to "
                                              "end",
                                              lease->owner.command, lease->owner.host,
                                              base::format_time_human(lease->since)));
        if (term && *term != lease->term) return;
        term = lease->term;
        wake.wait_for(lock, context.stop, std::chrono::milliseconds{500}, [] { return false; });
        if (context.stop.stop_requested())
            throw Error{Code::cancelled, "stopped while waiting for retention"};
    }
}

} // namespace

Reading::Reading(const Context& context, const repo::RestorePlan& plan,
                 const repo::AnnouncementOptions& options)
{
    try {
        announcement_ =
            repo::Announcement::make(context.storage(), intent_of(context, plan), options);
    } catch (const Error& error) {
        if (error.code() == Code::repository_newer) throw;
        context.progress.note(fmt::format("the repository was not told what is being read: {}; an "
                                          "expire elsewhere may remove it after a day",
                                          error.what()));
    }
    // Written first, looked second: whoever removes looks for intents after its tombstone.
    auto condemned = repo::condemned_keys(context.storage(), plan.group);
    std::set<std::string> doubtful;
    for (const std::string& key : keys_of(plan))
        if (condemned.contains(key)) doubtful.insert(key);
    if (doubtful.empty()) return;
    wait_for_expire(context, plan.group);
    for (const std::string& key : doubtful)
        if (!context.storage().stat(key))
            throw Error{Code::not_restorable,
                        "retention removed what this restore needs while it began: " + key,
                        {.hint = "run the same command again; `tidemark list marks` shows the "
                                 "marks that are there"}};
}

} // namespace tidemark::job
