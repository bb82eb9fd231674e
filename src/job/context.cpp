#include "job/context.h"

#include "base/error.h"

#include <algorithm>

namespace tidemark::job {

namespace {

Context copy(const Context& context, const model::GroupSpec& group, Progress& progress)
{
    return {.repository = context.repository,
            .engine = context.engine,
            .group = group,
            .progress = progress,
            .clock = context.clock,
            .stop = context.stop,
            .compression_level = context.compression_level,
            .workers = context.workers,
            .command = context.command,
            .host = context.host,
            .lease_ttl = context.lease_ttl,
            .silence = context.silence};
}

} // namespace

Context Context::telling(Progress& other) const
{
    return copy(*this, group, other);
}

Context Context::for_group(const model::GroupSpec& other) const
{
    return copy(*this, other, progress);
}

std::string slot_name(const std::string& group)
{
    std::string name = "tidemark_" + group;
    std::replace(name.begin(), name.end(), '-', '_');
    return name.substr(0, 63);
}

engine::MemberConfig member_config(const model::GroupSpec& group, const model::MemberSpec& member)
{
    engine::MemberConfig out{.name = member.name,
                             .url = member.url,
                             .data_dir = member.data_dir,
                             .slot = slot_name(group.name),
                             .more_urls = member.more_urls,
                             .backup_from = member.backup_from};
    for (const auto& other : group.members)
        if (other.name != member.name) out.neighbours.push_back({other.url, other.data_dir});
    return out;
}

std::vector<model::DecisionTable> decision_tables(const model::GroupSpec& group)
{
    std::vector<model::DecisionTable> out;
    for (const auto& member : group.members)
        if (!member.decision.empty()) out.push_back({member.name, member.decision});
    return out;
}

std::unique_ptr<engine::Session> connect(const Context& context, const model::MemberSpec& member,
                                         base::Duration within)
{
    auto config = member_config(context.group, member);
    config.within = std::chrono::ceil<std::chrono::milliseconds>(within);
    return context.engine(member).connect(config);
}

} // namespace tidemark::job
