#include "job/restore.h"

#include "base/error.h"
#include "job/group_restore.h"
#include "job/reading.h"
#include "job/restore_claim.h"
#include "job/restore_member.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// An earlier run found the base backup that a plan prefers damaged. False when nothing else leads
/// there any more: then the preferred one is read again, and may have been mended.
bool avoid_damaged(const repo::RepositoryView& view, const RestoreState& state,
                   repo::RestorePlan& plan)
{
    if (state.damaged.empty() || state.phase == RestorePhase::handed_over) return true;
    if (state.phase < RestorePhase::at_mark) {
        std::set<std::string> damaged;
        for (const auto& [key, sentence] : state.damaged)
            damaged.insert(key);
        auto other = repo::plan_around(view, plan.members.at(state.member), damaged, plan.warnings);
        if (!other) return false;
        repo::replace_member(plan, std::move(*other));
    }
    for (const auto& [key, sentence] : state.damaged)
        plan.warnings.push_back(sentence);
    return true;
}

} // namespace

std::vector<std::string> check_restore(const Context& context, const repo::RestorePlan& plan,
                                       const RestoreOptions& options)
{
    auto warnings = plan.warnings;
    auto members = make_members(context, plan, options);
    check_decisions(plan, options, members);
    if (!options.force) refuse_finished(members);
    for (auto& warning : preflight(context, plan, options, members))
        warnings.push_back(std::move(warning));
    if (auto warning = foreseen_unclaimed(context, plan, members))
        warnings.push_back(std::move(*warning));
    return warnings;
}

void check_decisions(const Context& context, const repo::RestorePlan& plan,
                     const RestoreOptions& options)
{
    check_decisions(plan, options, make_members(context, plan, options));
}

void keep_backups(const repo::RepositoryView& view, const RestoreOptions& options,
                  repo::RestorePlan& plan)
{
    for (auto& [name, member] : plan.members) {
        if (options.dir.empty() && !options.map.contains(name)) continue; // a plan for no place
        auto folder = member_folder(options, name);
        auto state = known_state(folder);
        if (!state || state->target != member.target) continue;
        if (!avoid_damaged(view, *state, plan)) continue;
        if (state->phase < RestorePhase::at_mark || state->backup == member.backup.number())
            continue;
        const auto& backups = view.members.at(name).backups;
        auto found = std::find_if(backups.begin(), backups.end(), [&](const auto& backup) {
            return backup.number() == state->backup;
        });
        if (found == backups.end()) {
            if (state->phase == RestorePhase::handed_over) continue; // a copy of its own by now
            throw Error{Code::not_restorable,
                        fmt::format("the repository no longer holds b-{} of {}, from which {} was "
                                    "restored",
                                    state->backup, name, folder.string()),
                        {.hint = "give this restore up with --discard and begin anew"}};
        }
        member.backup = *found;
        member.damaged = found->value.is_damaged();
    }
}

RestoreReport restore_group(const Context& context, const repo::RestorePlan& plan,
                            const RestoreOptions& options)
{
    GroupRestore group(context, plan, options);
    group.preflight();
    Reading reading(context, plan);
    group.begin();
    group.recover();
    group.open();
    group.hand_over();
    auto report = group.report();
    add_lost_work(context, plan, report);
    report.ended = context.clock.now();
    return report;
}

std::vector<std::filesystem::path> discard_restore(const Context& context,
                                                   const repo::RestorePlan& plan,
                                                   const RestoreOptions& options)
{
    std::vector<std::filesystem::path> removed;
    auto members = make_members(context, plan, options);
    for (auto& member : members)
        member->require_discardable();
    for (auto& member : members) {
        for (auto& path : member->discard())
            removed.push_back(std::move(path));
    }
    return removed;
}

std::vector<std::filesystem::path> would_remove(const Context& context,
                                                const repo::RestorePlan& plan,
                                                const RestoreOptions& options, bool discard)
{
    std::vector<std::filesystem::path> paths;
    for (auto& member : make_members(context, plan, options)) {
        if (discard) member->require_discardable();
        if (!discard && member->continues()) continue;
        for (auto& path : member->removals())
            paths.push_back(std::move(path));
    }
    return paths;
}

} // namespace tidemark::job
