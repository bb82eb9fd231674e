#include "job/membership.h"

#include "base/error.h"
#include "repo/identities.h"
#include "repo/marks.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

repo::Identities identities(const Context& context, const std::string& member)
{
    return {context.storage(), {.group = context.group.name, .member = member}};
}

bool belongs(const Context& context, const std::string& member)
{
    auto recorded = identities(context, member).latest();
    return recorded && !recorded->value.has_left();
}

} // namespace

std::vector<std::string> recorded_members(const Context& context)
{
    auto names = context.repository.members(context.group.name);
    std::erase_if(names, [&](const auto& name) { return !belongs(context, name); });
    return names;
}

void refuse_missing(const Context& context, const std::vector<std::string>& names)
{
    std::vector<std::string> missing;
    for (const auto& name : names) {
        if (std::ranges::count(context.group.members, name, &model::MemberSpec::name) == 0 &&
            belongs(context, name))
            missing.push_back(name);
    }
    if (missing.empty()) return;
    throw Error{
        Code::usage,
        fmt::format("group {} has {} {} in the repository that the configuration does not name: "
                    "{}; a mark of the others alone would not be consistent",
                    context.group.name, missing.size(), missing.size() == 1 ? "member" : "members",
                    fmt::join(missing, ", ")),
        {.hint =
             fmt::format("name all members of the group in the configuration, or, when it is to "
                         "belong to the group no more: tidemark leave {}",
                         missing.front())}};
}

void refuse_missing(const Context& context)
{
    auto newest = repo::Marks(context.storage(), context.group.name).latest();
    if (!newest) return refuse_missing(context, context.repository.members(context.group.name));
    std::vector<std::string> names;
    for (const auto& member : newest->value.members)
        names.push_back(member.name);
    refuse_missing(context, names);
}

void refuse_departed(const model::MemberIdentity& recorded)
{
    if (!recorded.has_left()) return;
    throw Error{Code::usage,
                fmt::format("{} has left group {} on {}", recorded.member, recorded.group,
                            base::format_time_human(recorded.recorded)),
                {.hint =
                     "take it out of this configuration; to have it back in the group: tidemark "
                     "init"}};
}

void record_departure(const Context& context, const repo::Lease& lease,
                      const std::vector<std::string>& members)
{
    for (const auto& member : members) {
        auto all = identities(context, member);
        auto recorded = all.latest();
        if (!recorded || recorded->value.has_left()) continue;
        auto left = recorded->value;
        left.recorded = context.clock.now();
        left.reason = model::kMemberLeft;
        all.append(&lease, left);
    }
}

} // namespace tidemark::job
