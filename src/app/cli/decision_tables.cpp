#include "app/cli/decision_tables.h"

#include "app/cli/environment.h"
#include "engine/postgres/decision_check.h"
#include "model/decision_table.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::app {

std::optional<engine::Check> check_decision_table(const model::GroupSpec& group,
                                                  const model::MemberSpec& member,
                                                  std::chrono::milliseconds patience)
{
    if (member.decision.empty() || member.decision == model::kNoDecisionTable) return std::nullopt;
    return engine::postgres::check_decision_table(job::member_config(group, member),
                                                  member.decision, patience);
}

void warn_of_decision_tables(Environment& environment)
{
    constexpr std::chrono::seconds kTablePatience{10}; // for each member
    const auto& group = environment.group();
    for (const auto& member : group.members) {
        auto check = check_decision_table(group, member, kTablePatience);
        if (!check || check->state == engine::CheckState::ok) continue;
        auto text =
            fmt::format("{}: {}: {}; {}", member.name, check->name, check->cause, check->fix);
        if (check->state == engine::CheckState::failed)
            environment.progress().warn(text);
        else
            environment.progress().note(text);
    }
}

std::string commits_to_ask_for(const model::Mark& mark)
{
    auto found = std::ranges::count_if(mark.decided, [](const model::LateCommit& commit) {
        return commit.carried && !commit.inherited;
    });
    if (found == 0) return {};
    return fmt::format("a member with a decision table was failed over or restored: whether {} "
                       "commits around that are still decided is known only when a restore or "
                       "drill asks the table",
                       found);
}

void note_commits_to_ask_for(Environment& environment, const model::Mark& mark)
{
    if (auto text = commits_to_ask_for(mark); !text.empty()) environment.progress().note(text);
}

} // namespace tidemark::app
