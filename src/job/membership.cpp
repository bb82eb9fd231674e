#include "job/membership.h"

#include "base/error.h"
#include "model/membership.h"
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

/// When the group went on without it: now, or, where marks were placed without it already (older
/// programs did, and leave was not recorded by them), right behind the last one that holds it.
base::Time left_at(const Context& context, const repo::StoredIdentity& recorded)
{
    repo::Marks marks(context.storage(), context.group.name);
    auto numbers = marks.numbers();
    bool is_newest = true;
    for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
        auto mark = marks.load(*number);
        if (!mark || mark->value.is_moment()) continue;
        if (std::ranges::count(mark->value.members, recorded.value.member,
                               &model::MarkMember::name) != 0)
            return is_newest ? context.clock.now() : mark->value.created + base::Duration{1};
        is_newest = false;
    }
    return is_newest ? context.clock.now() : recorded.value.recorded;
}

bool has_left(const Context& context, const std::string& member)
{
    auto recorded = identities(context, member).latest();
    return !recorded || recorded->value.has_left();
}

/// That a mark without it would not be consistent.
bool is_needed(const Context& context, const std::string& member)
{
    auto recorded = identities(context, member).latest();
    if (!recorded || recorded->value.has_left()) return false;
    if (!model::belongs_with_first_mark(recorded->value)) return true;
    auto newest = repo::Marks(context.storage(), context.group.name).latest();
    return newest &&
           std::ranges::count(newest->value.members, member, &model::MarkMember::name) != 0;
}

} // namespace

std::vector<std::string> recorded_members(const Context& context)
{
    auto names = context.repository.members(context.group.name);
    std::erase_if(names, [&](const auto& name) { return has_left(context, name); });
    return names;
}

void refuse_missing(const Context& context)
{
    std::vector<std::string> missing;
    for (const auto& name : context.repository.members(context.group.name)) {
        if (std::ranges::count(context.group.members, name, &model::MemberSpec::name) == 0 &&
            is_needed(context, name))
            missing.push_back(name);
    }
    if (missing.empty()) return;
    throw Error{
        Code::identity_mismatch,
        fmt::format("group {} has {} {} in the repository that the configuration does not name: "
                    "{}; a mark of the others alone would not be consistent",
                    context.group.name, missing.size(), missing.size() == 1 ? "member" : "members",
                    fmt::join(missing, ", ")),
        {.hint =
             fmt::format("name all members of the group in the configuration, or, when it is to "
                         "belong to the group no more: tidemark leave {}",
                         missing.front())}};
}

void refuse_departed(const model::MemberIdentity& recorded)
{
    if (!recorded.has_left()) return;
    throw Error{Code::identity_mismatch,
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
        left.recorded = left_at(context, *recorded);
        left.reason = model::kMemberLeft;
        all.append(&lease, left);
    }
}

} // namespace tidemark::job
