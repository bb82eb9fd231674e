#include "job/group_restore.h"

namespace tidemark::job {

namespace {

std::vector<std::string> planned_names(const repo::RestorePlan& plan)
{
    std::vector<std::string> names;
    for (const auto& [name, member] : plan.members)
        names.push_back(name);
    return names;
}

} // namespace

GroupRestore::GroupRestore(const Context& context, const repo::RestorePlan& plan,
                           const RestoreOptions& options)
    : context_(context), plan_(plan), crew_(planned_names(plan), context.stop),
      started_(context.clock.now()), warnings_(plan.warnings)
{
    for (const auto& [name, member] : plan.members)
        members_.push_back(std::make_unique<MemberRestore>(context, plan, member, options));
}

void GroupRestore::preflight()
{
    for (auto& warning : job::preflight(members_))
        warnings_.push_back(std::move(warning));
}

void GroupRestore::begin()
{
    for (auto& member : members_)
        member->begin();
}

void GroupRestore::recover()
{
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) {
        members_[i]->write_files(stop);
        members_[i]->recover(stop);
    });
}

void GroupRestore::open()
{
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) { members_[i]->promote(stop); });
    crew_.run_to_end([&](std::size_t i, std::stop_token) { members_[i]->settle(); });
}

void GroupRestore::hand_over()
{
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) { members_[i]->hand_over(stop); });
}

RestoreReport GroupRestore::report() const
{
    RestoreReport report{.group = plan_.group,
                         .mark = plan_.mark,
                         .started = started_,
                         .ended = context_.clock.now(),
                         .members = {},
                         .lost = {},
                         .warnings = warnings_};
    for (const auto& member : members_) {
        report.members.push_back(member->report());
        report.unsettled = report.unsettled || member->unsettled();
    }
    return report;
}

} // namespace tidemark::job
