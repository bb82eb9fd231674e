#include "app/cli/commands.h"
#include "app/cli/describe.h"
#include "app/cli/table.h"
#include "job/audit.h"
#include "repo/verify.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using nlohmann::json;

namespace {

std::string_view event_name(model::EventKind kind)
{
    switch (kind) {
    case model::EventKind::prepare:
        return "prepare";
    case model::EventKind::commit:
        return "commit";
    case model::EventKind::rollback:
        return "rollback";
    }
    return "?";
}

void explain(Environment& environment, const job::AuditReport& report)
{
    const auto& gid = environment.options().gid;
    Table table({"MEMBER", "EVENT", "AT", "TIME", "XID", "GID", "INSIDE THE MARK"});
    auto& list = environment.output().document()["explain"] = json::array();
    for (const auto& [member, event, contained] :
         job::explain_gid(environment.context(), report.mark.value, gid)) {
        std::string inside = !contained ? "?" : *contained ? "yes" : "no";
        table.row({member, std::string(event_name(event.kind)),
                   model::format_position({event.epoch, event.start}), base::format_time(event.at),
                   std::to_string(event.xid), event.gid, inside});
        list.push_back({{"member", member},
                        {"event", event_name(event.kind)},
                        {"position", model::format_position({event.epoch, event.start})},
                        {"time", base::format_time(event.at)},
                        {"xid", event.xid},
                        {"gid", event.gid},
                        {"inside", inside}});
    }
    if (list.empty())
        environment.output().text(fmt::format("\nthe stored log shows nothing of {}\n", gid));
    else
        environment.output().text("\n" + table.render(2));
    for (const auto& doubt : report.mark.value.at.in_doubt) {
        if (doubt.branch.gid != gid && doubt.branch.global_id != gid) continue;
        environment.output().text(fmt::format("  in doubt at {}: {}; {}\n", doubt.branch.member,
                                              model::decision_name(doubt.verdict.decision),
                                              doubt.verdict.evidence));
    }
}

std::string numbers(const std::vector<model::Number>& all, std::string_view prefix)
{
    std::string out;
    for (auto number : all) {
        if (out.size() > 60) return out + ", ...";
        out += fmt::format("{}{}{}", out.empty() ? "" : ", ", prefix, number);
    }
    return out;
}

std::string_view fault_name(repo::FaultKind kind)
{
    switch (kind) {
    case repo::FaultKind::missing:
        return "missing";
    case repo::FaultKind::damaged:
        return "damaged";
    case repo::FaultKind::unreadable:
        return "unreadable";
    case repo::FaultKind::broken_chain:
        return "broken_chain";
    case repo::FaultKind::log_gap:
        return "log_gap";
    case repo::FaultKind::mismatch:
        return "mismatch";
    }
    return "?";
}

} // namespace

int run_audit(Environment& environment)
{
    auto report = job::audit_mark(environment.context(), environment.options().subject);
    auto& output = environment.output();
    output.text(mark_text(report.mark));
    output.text(
        fmt::format("\naudit: decoded {} of log anew; ", base::format_size(report.log_bytes)));
    output.text(report.good() ? "the proof holds: the same cut, the same verdicts, nothing torn\n"
                              : "the proof does NOT hold:\n");
    for (const auto& difference : report.differences)
        output.text("  " + difference + "\n");
    for (const auto& [member, from] : report.older_gone)
        output.text(fmt::format("  cuts and verdicts only: log of {} older than {} is gone\n",
                                member, model::format_position(from)));
    auto& document = output.document();
    document["mark"] = mark_summary(report.mark);
    document["log_bytes"] = report.log_bytes;
    document["whole"] = report.whole;
    document["good"] = report.good();
    document["differences"] = report.differences;
    if (!environment.options().gid.empty()) explain(environment, report);
    return static_cast<int>(report.good() ? Code::ok : Code::not_restorable);
}

int run_verify(Environment& environment)
{
    auto& progress = environment.progress();
    const auto& group = environment.group().name;
    bool started = false;
    std::mutex mutex;
    auto report = repo::verify(
        environment.repository(), group, {.data = true, .workers = environment.workers(1)},
        [&](std::uint64_t done, std::uint64_t total) {
            std::lock_guard lock(mutex);
            if (!started) progress.stage(group, "verify", total);
            started = true;
            progress.advance(group, done);
        },
        environment.stop());
    auto& output = environment.output();
    auto& document = output.document();
    document["objects"] = report.objects;
    document["bytes"] = report.bytes;
    document["marks"] = report.marks;
    document["restorable_marks"] = report.restorable_marks;
    document["faults"] = json::array();
    for (const auto& fault : report.faults) {
        output.text(fmt::format("{}: {}: {}\n", fault_name(fault.kind), fault.object, fault.text));
        if (!fault.backups.empty())
            output.text("  costs the backups " + numbers(fault.backups, fault.member + "/b-") +
                        "\n");
        if (!fault.marks.empty())
            output.text("  costs the marks " + numbers(fault.marks, "m-") + "\n");
        document["faults"].push_back({{"kind", fault_name(fault.kind)},
                                      {"object", fault.object},
                                      {"text", fault.text},
                                      {"member", fault.member},
                                      {"backups", fault.backups},
                                      {"marks", fault.marks}});
    }
    document["notes"] = report.notes;
    for (const auto& note : report.notes)
        output.text("note: " + note + "\n");
    output.text(fmt::format(
        "{} objects, {} read and hashed; {} of {} marks restorable; {}\n", report.objects,
        base::format_size(report.bytes), report.restorable_marks, report.marks,
        report.ok() ? "no faults" : fmt::format("{} faults", report.faults.size())));
    return static_cast<int>(report.ok() ? Code::ok : Code::not_restorable);
}

} // namespace tidemark::app
