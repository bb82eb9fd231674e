#include "job/drill_findings.h"

#include "job/drill.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using model::CheckResult;

namespace {

std::string count_decisions(const std::vector<model::DrillDecision>& decisions)
{
    auto count = [&](std::string_view action) {
        return std::count_if(decisions.begin(), decisions.end(),
                             [&](const auto& decision) { return decision.action == action; });
    };
    return fmt::format("{} in doubt: {} committed, {} rolled back, {} kept prepared",
                       decisions.size(), count("commit"), count("rollback"), count("kept"));
}

} // namespace

model::Drill new_drill_report(const Context& context, const repo::RestorePlan& plan)
{
    model::Drill report;
    report.group = plan.group;
    report.host = context.host;
    report.started = context.clock.now();
    report.half_there = plan.half_there;
    if (plan.mark) {
        const auto& mark = plan.mark->value;
        report.mark = plan.mark->number();
        report.mark_name = mark.name;
        report.mark_time = mark.created;
        report.whole_group =
            std::all_of(mark.members.begin(), mark.members.end(),
                        [&](const auto& member) { return plan.members.contains(member.name); });
    }
    return report;
}

void add_restore(model::Drill& report, const RestoreReport& restore)
{
    for (const auto& member : restore.members) {
        report.members.push_back({.name = member.name,
                                  .backup = member.backup,
                                  .bytes = member.bytes,
                                  .log_bytes = member.log_bytes,
                                  .target = member.target,
                                  .reached = member.reached,
                                  .evidence = member.evidence});
        report.checks.push_back({.name = "recovery",
                                 .member = member.name,
                                 .text = "stopped at " + model::format_position(member.reached),
                                 .took = member.recover_time});
        for (const auto& decision : member.decisions) {
            report.decisions.push_back(
                {.member = member.name,
                 .gid = decision.gid,
                 .global_id = decision.global_id,
                 .database = decision.database,
                 .action = decision.action,
                 .evidence = decision.evidence,
                 .differs_from_production = decision.differs_from_production});
        }
        for (const auto& warning : member.warnings)
            report.warnings.push_back(member.name + ": " + warning);
    }
    report.checks.push_back({.name = "in_doubt", .text = count_decisions(report.decisions)});
    report.warnings.insert(report.warnings.end(), restore.warnings.begin(), restore.warnings.end());
}

model::DrillCheck content_check(const engine::ContentCheck& content)
{
    model::DrillCheck check{.name = "amcheck", .text = content.text, .details = content.faults};
    if (!content.ran) check.result = CheckResult::skipped;
    if (content.fault_count > 0) {
        check.result = CheckResult::failed;
        check.text = fmt::format("{} {}; {}", content.fault_count,
                                 content.fault_count == 1 ? "fault" : "faults", content.text);
    }
    return check;
}

model::DrillCheck page_check(const engine::PageCheck& pages)
{
    model::DrillCheck check{.name = "checksums"};
    if (!pages.has_checksums) {
        check.result = CheckResult::skipped;
        check.text = "this cluster was made without page checksums";
        return check;
    }
    check.text =
        fmt::format("{} pages in {} files have the right checksum", pages.pages, pages.files);
    if (pages.damaged_count == 0) return check;
    check.result = CheckResult::failed;
    check.text = fmt::format("{} of {} pages are damaged", pages.damaged_count, pages.pages);
    for (const auto& page : pages.damaged)
        check.details.push_back(fmt::format("{} block {}: {}", page.path, page.block, page.why));
    return check;
}

std::optional<model::Number> record_restore(const Context& context, const repo::RestorePlan& plan,
                                            const RestoreReport& restore)
{
    // A moment that nobody recorded has no name to be proven under.
    if (!plan.mark || plan.mark->number() == 0) return std::nullopt;
    // A restore reads no pages; those of a damaged backup are known to be wrong.
    for (const auto& member : restore.members) {
        if (member.damaged) return std::nullopt;
    }
    auto report = new_drill_report(context, plan);
    report.kind = model::DrillKind::restore;
    report.started = restore.started;
    report.ended = restore.ended;
    report.restore_took =
        std::chrono::duration_cast<base::Duration>(restore.ended - restore.started);
    add_restore(report, restore);
    if (!report.proves()) return std::nullopt;
    return repo::Drills(context.storage(), plan.group).append(report).number();
}

} // namespace tidemark::job
