#include "repo/restore_plan.h"

#include "base/error.h"
#include "model/lost.h"
#include "repo/planner.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

namespace {

void add_member(RestorePlan& plan, MemberPlan member)
{
    plan.bytes_to_write += member.bytes_to_write;
    plan.file_bytes += member.file_bytes;
    plan.log_bytes += member.log_bytes;
    plan.stored_bytes += member.stored_bytes;
    plan.members.emplace(member.member, std::move(member));
}

PlanResult plan_goals(Planner& planner, const std::vector<MemberGoal>& goals, RestorePlan plan)
{
    PlanResult out;
    for (const MemberGoal& goal : goals) {
        auto member = planner.plan_member(goal, out.obstacles, plan.warnings);
        if (member) add_member(plan, std::move(*member));
    }
    if (out.obstacles.empty()) out.plan = std::move(plan);
    return out;
}

void refuse_strangers(const std::vector<std::string>& wanted, const std::vector<MemberGoal>& goals,
                      PlanResult& result)
{
    for (const std::string& name : wanted) {
        bool known = std::any_of(goals.begin(), goals.end(),
                                 [&](const MemberGoal& goal) { return goal.member == name; });
        if (known) continue;
        result.obstacles.push_back({.kind = ObstacleKind::not_in_mark,
                                    .member = name,
                                    .text = "the mark has no position for it",
                                    .gap = {},
                                    .object = {}});
        result.plan.reset();
    }
}

/// What the others decided without it may be wrong.
void refuse_partial(const std::vector<std::string>& missing, PlanResult& result)
{
    for (const std::string& name : missing) {
        result.obstacles.push_back({.kind = ObstacleKind::not_in_mark,
                                    .member = name,
                                    .text = "the mark was placed without it, although it belonged "
                                            "to the group (if it had left: tidemark leave " +
                                            name + " records that)",
                                    .gap = {},
                                    .object = {}});
        result.plan.reset();
    }
}

/// The marks next to `number` that can be restored.
void find_neighbours(Planner& planner, const RepositoryView& view, model::Number number,
                     PlanResult& result)
{
    for (const StoredMark& mark : view.marks) { // newest first
        if (mark.number() < number && result.before) break;
        if (mark.number() == number || !planner.restorable(mark.value)) continue;
        if (mark.number() > number)
            result.after = mark.number();
        else
            result.before = mark.number();
    }
}

std::vector<const model::Mark*> marks_of(const RepositoryView& view)
{
    std::vector<const model::Mark*> marks;
    for (const StoredMark& one : view.marks)
        marks.push_back(&one.value);
    return marks;
}

} // namespace

std::vector<std::string> mark_warnings(const RepositoryView& view, const model::Mark& mark)
{
    auto warnings = model::lost_up_to(marks_of(view), mark);
    for (auto& sentence : model::damage_found_by(mark))
        warnings.push_back(std::move(sentence));
    for (const auto& id : mark.at.ambiguous_ids)
        warnings.push_back("ambiguous: the id " + id +
                           " was used again too soon to tell its uses apart, so no verdict "
                           "about it is taken from the logs");
    return warnings;
}

PlanResult plan_restore(const RepositoryView& view, model::Number number,
                        const PlanOptions& options)
{
    auto mark = std::find_if(view.marks.begin(), view.marks.end(),
                             [&](const StoredMark& one) { return one.number() == number; });
    if (mark == view.marks.end())
        throw base::Error{base::Code::usage,
                          fmt::format("group {} has no mark {}", view.group, mark_id(number)),
                          {.hint = "`tidemark list marks` shows those there are"}};
    Planner planner{view, options.allow_damaged};
    RestorePlan plan;
    plan.group = view.group;
    plan.mark = *mark;
    plan.warnings = mark_warnings(view, mark->value);
    plan.notes = model::damage_found_before(marks_of(view), mark->value);
    plan.half_there = model::half_there_at(marks_of(view), mark->value);
    auto goals = goals_of(mark->value, options.members);
    PlanResult out = plan_goals(planner, goals, std::move(plan));
    refuse_strangers(options.members, goals, out);
    if (!options.alone) refuse_partial(planner.missing(mark->value), out);
    if (!out.plan) find_neighbours(planner, view, number, out);
    return out;
}

std::optional<MemberPlan> plan_around(RepositoryView view, const MemberPlan& member,
                                      const std::set<std::string>& damaged,
                                      std::vector<std::string>& warnings)
{
    view.damaged_objects.insert(damaged.begin(), damaged.end());
    Planner planner{view, true};
    std::vector<Obstacle> obstacles;
    return planner.plan_member({.member = member.member,
                                .history = member.history,
                                .target = member.target,
                                .log_to = member.log_to,
                                .system_id = member.backup.value.identity.system_id},
                               obstacles, warnings);
}

void replace_member(RestorePlan& plan, MemberPlan member)
{
    auto& place = plan.members.at(member.member);
    plan.bytes_to_write += member.bytes_to_write - place.bytes_to_write;
    plan.file_bytes += member.file_bytes - place.file_bytes;
    plan.log_bytes += member.log_bytes - place.log_bytes;
    plan.stored_bytes += member.stored_bytes - place.stored_bytes;
    place = std::move(member);
}

RestorePlan need_plan(PlanResult result)
{
    if (result.plan) return std::move(*result.plan);
    std::string text = "the group cannot be restored there";
    for (const Obstacle& obstacle : result.obstacles)
        text += fmt::format("; member {}: {}", obstacle.member, obstacle.text);
    std::string hint;
    if (result.before)
        hint = fmt::format("the nearest restorable mark before it is {}", mark_id(*result.before));
    if (result.after)
        hint += fmt::format("{}the nearest {} is {}", hint.empty() ? "" : ", ",
                            result.before ? "after it" : "restorable mark after it",
                            mark_id(*result.after));
    if (hint.empty())
        hint =
            "no mark of the group can be restored: `tidemark verify` lists what is missing and "
            "what "
            "it costs. While the servers live, `tidemark backup` begins anew; when they are gone, "
            "look for another copy of the repository";
    throw base::Error{base::Code::not_restorable, std::move(text), {.hint = std::move(hint)}};
}

std::optional<model::Number> newest_restorable(const RepositoryView& view)
{
    Planner planner{view, true};
    for (const StoredMark& mark : view.marks) {
        if (mark.value.is_moment() || view.damaged_objects.contains(mark.object.key)) continue;
        if (planner.restorable(mark.value)) return mark.number();
    }
    return std::nullopt;
}

std::vector<model::Number> restorable_marks(const RepositoryView& view)
{
    Planner planner{view, true};
    std::vector<model::Number> out;
    for (auto mark = view.marks.rbegin(); mark != view.marks.rend(); ++mark)
        if (!view.damaged_objects.contains(mark->object.key) && planner.restorable(mark->value))
            out.push_back(mark->number());
    return out;
}

} // namespace tidemark::repo
