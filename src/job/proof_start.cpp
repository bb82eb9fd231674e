#include "job/proof_start.h"

#include "model/instances.h"
#include "repo/layout.h"
#include "repo/tombstones.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tidemark::job {

namespace {

bool lies_on_present_logs(const model::Mark& mark, const Context& context, const GroupLog& log)
{
    for (std::size_t i = 0; i < log.size(); ++i) {
        auto known = mark.table.members.find(context.group.members[i].name);
        if (known != mark.table.members.end() &&
            !model::on_history(log.receiver(i).history(), known->second.epoch, known->second.e))
            return false;
    }
    return true;
}

} // namespace

std::optional<repo::StoredMark> mark_before(const Context& context, const GroupLog& log)
{
    const auto& group = context.group.name;
    std::optional<std::set<std::string>> condemned;
    bool newest = true; // never thinned out
    return repo::Marks(context.storage(), group).latest([&](const model::Mark& mark) {
        bool older = !std::exchange(newest, false);
        if (!lies_on_present_logs(mark, context, log)) return false;
        if (!older) return true;
        if (!condemned) condemned = repo::condemned_keys(context.storage(), group);
        return !condemned->contains(repo::mark_key(group, mark.number));
    });
}

std::vector<model::Sweep> first_sweeps(const Context& context, const GroupLog& log)
{
    const auto& anchor = log.receiver(0).recorded().anchor;
    for (std::size_t i = 0; i < log.size(); ++i) {
        const auto& recorded = log.receiver(i).recorded();
        if (recorded.anchor != anchor) return {};
        for (const auto& sweep : anchor) {
            auto seen = sweep.find(context.group.members[i].name);
            if (seen != sweep.end() &&
                !model::on_history(log.receiver(i).history(), recorded.identity.position.epoch,
                                   seen->second))
                return {};
        }
    }
    return anchor;
}

} // namespace tidemark::job
