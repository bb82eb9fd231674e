#include "job/restore.h"

#include "job/group_restore.h"
#include "job/reading.h"
#include "job/restore_member.h"

namespace tidemark::job {

std::vector<std::string> check_restore(const Context& context, const repo::RestorePlan& plan,
                                       const RestoreOptions& options)
{
    auto warnings = plan.warnings;
    auto members = make_members(context, plan, options);
    if (!options.force) refuse_finished(members);
    for (auto& warning : preflight(members))
        warnings.push_back(std::move(warning));
    return warnings;
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
