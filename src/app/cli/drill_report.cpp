#include "app/cli/drill_report.h"

#include "app/cli/describe.h"
#include "app/cli/table.h"
#include "base/fd.h"
#include "base/log.h"
#include "repo/marks.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using model::CheckResult;
using nlohmann::json;

namespace {

std::string title(const model::Drill& drill, std::optional<model::Number> number)
{
    return fmt::format("{} of group {}, {}",
                       number ? repo::drill_id(*number)
                              : std::string(model::drill_kind_name(drill.kind)),
                       drill.group, point_title(drill.mark, drill.mark_name, drill.mark_time));
}

std::string who(const std::string& member)
{
    return member.empty() ? "group" : member;
}

std::string check_name(const model::DrillCheck& check)
{
    return check.subject.empty() ? check.name : check.name + " " + check.subject;
}

std::string took(const model::Drill& drill)
{
    return base::format_duration(
        std::chrono::duration_cast<base::Duration>(drill.ended - drill.started));
}

std::string times(const model::Drill& drill)
{
    return fmt::format("{} to {} ({}) on {}; {}", base::format_time_human(drill.started),
                       base::format_time_human(drill.ended), took(drill), drill.host,
                       drill.restore_took
                           ? "all members open after " + base::format_duration(*drill.restore_took)
                           : "the members were not opened");
}

} // namespace

std::string half_there_text(const std::vector<std::string>& half_there)
{
    if (half_there.empty()) return {};
    return fmt::format(", as production was: with {} half there",
                       half_there.size() == 1 ? std::string("one transaction")
                                              : fmt::format("{} transactions", half_there.size()));
}

std::string drill_verdict(const model::Drill& drill)
{
    if (!drill.passed()) return "FAILED";
    if (drill.kept_prepared())
        return "PASSED, but not proven: transactions were kept prepared for want of evidence";
    if (!drill.whole_group) return "PASSED, but not proven: not all members took part";
    auto skipped = drill.skipped();
    return fmt::format("PASSED: the {} is proven by {}{}{}", drill.mark == 0 ? "moment" : "mark",
                       fmt::join(drill.proven_by(), ", "),
                       skipped.empty() ? std::string()
                                       : fmt::format(", not by {}", fmt::join(skipped, ", ")),
                       half_there_text(drill.half_there));
}

std::string drill_failure(const model::Drill& drill)
{
    auto out = point_title(drill.mark, drill.mark_name, drill.mark_time) + ": ";
    if (!drill.failure.empty()) return out + drill.failure;
    std::size_t others = 0;
    for (const auto& check : drill.checks) {
        if (check.result != CheckResult::failed) continue;
        if (others++ == 0)
            out += fmt::format("{} at {}: {}", check_name(check), who(check.member), check.text);
    }
    return others < 2 ? out : fmt::format("{} (and {} more)", out, others - 1);
}

std::string drill_text(const model::Drill& drill, std::optional<model::Number> number)
{
    std::string out =
        fmt::format("{}{}\n{}\n{}\n", title(drill, number),
                    drill.mark == 0 ? "" : ", placed " + base::format_time_human(drill.mark_time),
                    times(drill), drill_verdict(drill));
    if (!drill.failure.empty()) out += "it ended early: " + drill.failure + "\n";
    Table stages({"MEMBER", "STAGE", "AFTER", "TOOK"});
    for (const auto& stage : drill.stages)
        stages.row({who(stage.member), stage.name, base::format_duration(stage.start),
                    base::format_duration(stage.took)});
    if (!drill.stages.empty()) out += "\n" + stages.render(2);
    Table checks({"RESULT", "CHECK", "MEMBER", "WHAT"});
    for (const auto& check : drill.checks) {
        checks.row({std::string(model::check_result_name(check.result)), check_name(check),
                    who(check.member), check.text});
        if (check.result == CheckResult::passed) continue;
        for (const auto& line : check.details)
            checks.row({"", "", "", "  " + line});
    }
    out += "\n" + checks.render(2);
    if (!drill.decisions.empty()) {
        Table decisions({"MEMBER", "IN DOUBT", "DATABASE", "DONE", "EVIDENCE"});
        for (const auto& decision : drill.decisions)
            decisions.row(
                {decision.member, decision.gid, decision.database, decision.action,
                 decision.evidence +
                     (decision.differs_from_production ? "; differs from production" : "")});
        out += "\n" + decisions.render(2);
    }
    for (const auto& sentence : drill.half_there)
        out += "half there: " + base::escape_controls(sentence) + "\n";
    for (const auto& warning : drill.warnings)
        if (std::ranges::count(drill.half_there, warning) == 0)
            out += "warning: " + base::escape_controls(warning) + "\n";
    return out;
}

json drill_json(const model::Drill& drill, std::optional<model::Number> number)
{
    json out = {{"kind", model::drill_kind_name(drill.kind)},
                {"group", drill.group},
                {"host", drill.host},
                {"mark", mark_id_json(drill.mark)},
                {"mark_name", drill.mark_name},
                {"mark_time", base::format_time(drill.mark_time)},
                {"started", base::format_time(drill.started)},
                {"ended", base::format_time(drill.ended)},
                {"passed", drill.passed()},
                {"proves", drill.proves()},
                {"proven_by", drill.proven_by()},
                {"skipped", drill.skipped()},
                {"failure", drill.failure},
                {"warnings", drill.warnings},
                {"half_there", drill.half_there},
                {"members", json::array()},
                {"stages", json::array()},
                {"checks", json::array()},
                {"decisions", json::array()}};
    if (number) out["id"] = repo::drill_id(*number);
    if (drill.restore_took) out["restore_us"] = drill.restore_took->count();
    for (const auto& member : drill.members) {
        out["members"].push_back({{"name", member.name},
                                  {"backup", fmt::format("b-{}", member.backup)},
                                  {"bytes_written", member.bytes},
                                  {"log_replayed", member.log_bytes},
                                  {"target", model::format_position(member.target)},
                                  {"reached", model::format_position(member.reached)},
                                  {"evidence", member.evidence}});
    }
    for (const auto& stage : drill.stages)
        out["stages"].push_back({{"member", stage.member},
                                 {"name", stage.name},
                                 {"start_us", stage.start.count()},
                                 {"took_us", stage.took.count()}});
    for (const auto& check : drill.checks) {
        json one = {
            {"name", check.name},           {"subject", check.subject},
            {"member", check.member},       {"result", model::check_result_name(check.result)},
            {"text", check.text},           {"details", check.details},
            {"took_us", check.took.count()}};
        if (check.value) one["value"] = *check.value;
        out["checks"].push_back(std::move(one));
    }
    for (const auto& decision : drill.decisions)
        out["decisions"].push_back({{"member", decision.member},
                                    {"gid", decision.gid},
                                    {"global_id", decision.global_id},
                                    {"database", decision.database},
                                    {"action", decision.action},
                                    {"evidence", decision.evidence},
                                    {"differs_from_production", decision.differs_from_production}});
    return out;
}

std::string proof_text(const model::Proof& proof, base::Time now)
{
    auto age = std::chrono::duration_cast<base::Duration>(now - proof.at);
    return fmt::format(
        "{} ago ({}, {}{})", base::format_duration(age),
        proof.kind == model::DrillKind::drill ? repo::drill_id(proof.drill)
                                              : "restore, " + repo::drill_id(proof.drill),
        base::format_duration(proof.restore_took),
        (proof.skipped.empty() ? std::string()
                               : fmt::format(", without {}", fmt::join(proof.skipped, ", "))) +
            half_there_text(proof.half_there));
}

json proof_json(const model::Proof& proof)
{
    return {{"mark", mark_id_json(proof.mark)},
            {"mark_time", base::format_time(proof.mark_time)},
            {"drill", repo::drill_id(proof.drill)},
            {"kind", model::drill_kind_name(proof.kind)},
            {"at", base::format_time(proof.at)},
            {"restore_us", proof.restore_took.count()},
            {"by", proof.by},
            {"skipped", proof.skipped},
            {"half_there", proof.half_there}};
}

void write_drill_report(const std::filesystem::path& file, const model::Drill& drill,
                        std::optional<model::Number> number)
{
    std::string text;
    if (file.extension() == ".html" || file.extension() == ".htm")
        text = drill_html(drill, number);
    else if (file.extension() == ".json")
        text = json_text(drill_json(drill, number));
    else
        text = drill_text(drill, number);
    base::replace_file(file, base::as_bytes(text), 0644);
}

} // namespace tidemark::app
