#include "app/cli/commands.h"
#include "app/cli/describe.h"
#include "app/cli/drill_report.h"
#include "app/cli/metrics.h"
#include "app/cli/table.h"
#include "app/cli/unrecorded.h"
#include "base/log.h"
#include "job/log_guard.h"
#include "job/status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using nlohmann::json;

namespace {

/// "2 h 5 min ago"; a clock that was ahead leaves times that are still to come.
std::string ago(base::Duration age)
{
    if (age >= base::Duration::zero()) return base::format_duration(age) + " ago";
    return base::format_duration(-age) + " in the future";
}

std::string headline(const job::GroupStatus& status)
{
    if (!status.restorable) {
        return fmt::format("{}   NOT RESTORABLE: {}\n\n", status.group,
                           status.has_marks ? "no mark has a complete backup and an unbroken log"
                                            : "there is no mark yet; run tidemark backup");
    }
    const auto& mark = *status.restorable;
    auto age = std::chrono::duration_cast<base::Duration>(status.now - mark.value.created);
    return fmt::format("{}   RESTORABLE to {} ({}), mark {}, {} members\n\n", status.group,
                       base::format_time_human(mark.value.created), ago(age), mark_title(mark),
                       mark.value.members.size());
}

std::string proven_text(const job::GroupStatus& status)
{
    std::string out;
    if (status.proof)
        out = fmt::format("  proven: {}, {}\n",
                          point_title(status.proof->mark, {}, status.proof->mark_time),
                          proof_text(*status.proof, status.now));
    else
        out = "  proven: no mark yet; tidemark drill does it\n";
    if (status.last_drill && !status.last_drill->value.passed())
        out += fmt::format("  THE LAST DRILL FAILED: tidemark show {}\n",
                           repo::drill_id(status.last_drill->number()));
    for (const auto& state : status.objective)
        out += fmt::format(
            "  objective {} {}: {}, {}\n", state.name, base::format_duration(state.limit),
            !state.actual                            ? "never"
            : *state.actual < base::Duration::zero() ? ago(*state.actual)
                                                     : base::format_duration(*state.actual),
            state.met ? "met" : "MISSED");
    return out;
}

std::string runs_text(const job::GroupStatus& status)
{
    std::string out;
    for (const auto& run : status.broken_off)
        out += fmt::format("  A RUN WAS BROKEN OFF: {}; the next run records it and goes on\n",
                           repo::broken_off_run(status.group, run).error->message);
    auto failed = [](const model::Run& run, const std::string& where) {
        return fmt::format("  LAST RUN FAILED: tidemark {} at {} ({}), exit {}{}\n", run.command,
                           base::format_time_human(run.ended), where, run.exit_code,
                           run.error ? ": " + base::escape_controls(run.error->message) : "");
    };
    if (status.failed_run)
        out += failed(status.failed_run->value, fmt::format("run-{}", status.failed_run->number()));
    if (status.unrecorded_run)
        out += failed(*status.unrecorded_run, "the repository could not be told");
    if (status.is_late() && *status.rhythm->actual >= base::Duration::zero())
        out +=
            fmt::format("  THE NEWEST MARK IS OLD: {}, and by the rhythm of this group's runs it "
                        "is {} at most; objective lose_at_most says it otherwise\n",
                        base::format_duration(*status.rhythm->actual),
                        base::format_duration(status.rhythm->limit));
    return out;
}

std::string slot_text(const job::MemberStatus& member)
{
    if (!member.identity) return "-";
    if (!member.slot.exists) return "no slot";
    if (member.slot.lost) return "LOST";
    return base::format_size(member.slot.held_bytes);
}

std::string role_text(const job::MemberStatus& member)
{
    if (member.other_cluster) return "OTHER CLUSTER";
    if (!member.identity) return member.error.empty() ? "-" : "unreachable";
    return member.identity->in_recovery ? "standby" : "primary";
}

std::string members_text(const job::GroupStatus& status)
{
    Table table(
        {"MEMBER", "ROLE", "VERSION", "TL", "LOG BEHIND", "SLOT HOLDS", "CHAIN", "LAST BACKUP"});
    for (const auto& member : status.members) {
        std::string last = "none";
        if (member.backup) {
            const auto& value = member.backup->value;
            last = fmt::format("b-{} {} {}", member.backup->number(),
                               base::format_time_human(value.started),
                               base::format_size(value.totals.file_bytes));
        }
        table.row({member.name, role_text(member), member.identity ? member.identity->version : "-",
                   member.identity ? std::to_string(member.identity->position.epoch) : "-",
                   member.behind_bytes ? base::format_size(*member.behind_bytes) : "-",
                   slot_text(member), member.chain, last});
    }
    return table.render(2);
}

std::string standby_text(const engine::Standby& standby)
{
    if (standby.accepts_writes) return fmt::format("server {}: {}", standby.where, standby.problem);
    auto text = fmt::format("standby {}: ", standby.where);
    if (!standby.problem.empty()) return text + standby.problem;
    if (!standby.slot.exists) return text + "no slot yet, the next run makes it";
    if (standby.slot.lost) return text + "slot LOST, the next run makes it again";
    return text + fmt::format("slot holds {}", base::format_size(standby.slot.held_bytes));
}

std::string notes_text(const job::GroupStatus& status)
{
    std::string out;
    for (const auto& sentence : status.lost)
        out += "  " + sentence + "\n";
    for (const auto& member : status.members) {
        if (!member.error.empty()) out += fmt::format("  {}: {}\n", member.name, member.error);
        for (const auto& [branch, age] : member.orphans) {
            out += fmt::format("  {}: {} is prepared since {} ({}) by {} in {}\n", member.name,
                               branch.gid, base::format_time_human(branch.prepared),
                               base::format_duration(age), branch.owner, branch.database);
        }
        for (const auto& standby : member.standbys)
            out += fmt::format("  {}: {}\n", member.name, standby_text(standby));
        for (const auto& slot : member.stray_slots)
            out += fmt::format("  {}: the slot {} holds {} of log, and no group of this "
                               "configuration uses it\n",
                               member.name, slot.name, base::format_size(slot.held_bytes));
    }
    for (const auto& name : status.unnamed)
        out += fmt::format("  {} belongs to the group and is not in the configuration: no mark is "
                           "placed without it; name it there, or say tidemark leave {}\n",
                           name, name);
    for (const auto& name : status.left)
        out +=
            fmt::format("  {} has left the group: its backups stay while marks need them\n", name);
    if (status.full_running)
        out += fmt::format("  full backup: running since {} (`{}`, process {} on {})\n",
                           base::format_time_human(status.full_running->since),
                           status.full_running->owner.command, status.full_running->owner.pid,
                           status.full_running->owner.host);
    if (!status.full_due.empty() && !status.full_running)
        out += "  next full backup: with the next run (" + status.full_due + ")\n";
    else if (!status.full_paused.empty())
        out += "  " + status.full_paused + "\n";
    else if (status.next_full)
        out += "  next full backup: " + base::format_time_human(*status.next_full) + "\n";
    return out + "  between runs no log is received: what is lost in a disaster is what came after "
                 "the last run\n";
}

std::string attention_text(const job::GroupStatus& status)
{
    std::string out;
    for (const auto& reason : status.attention())
        out += fmt::format("  attention, {}: {}{}{}\n", reason.name, reason.member,
                           reason.member.empty() ? "" : ": ", base::escape_controls(reason.text));
    return out;
}

json attention_json(const job::GroupStatus& status)
{
    json out = json::array();
    for (const auto& reason : status.attention())
        out.push_back({{"reason", reason.name},
                       {"member", reason.member.empty() ? json(nullptr) : json(reason.member)},
                       {"text", reason.text}});
    return out;
}

json standby_json(const engine::Standby& standby)
{
    json out = {{"server", standby.where},
                {"reachable", standby.reachable},
                {"accepts_writes", standby.accepts_writes},
                {"slot",
                 {{"exists", standby.slot.exists},
                  {"lost", standby.slot.lost},
                  {"held_bytes", standby.slot.held_bytes}}}};
    if (standby.slot.bound_bytes) out["slot"]["bound_bytes"] = *standby.slot.bound_bytes;
    if (standby.replayed) out["replayed"] = model::format_offset(*standby.replayed);
    if (!standby.problem.empty()) out["problem"] = standby.problem;
    return out;
}

json member_json(const job::MemberStatus& member)
{
    json out = {{"name", member.name},
                {"chain", member.chain},
                {"chain_broken", member.chain_broken},
                {"last_backup", nullptr}};
    if (member.backup) {
        out["last_backup"] = {{"id", fmt::format("b-{}", member.backup->number())},
                              {"started", base::format_time(member.backup->value.started)},
                              {"file_bytes", member.backup->value.totals.file_bytes},
                              {"damaged", member.backup->value.damaged_pages()}};
    }
    if (!member.error.empty()) out["error"] = member.error;
    if (member.other_cluster) out["other_cluster"] = true;
    if (!member.identity) return out;
    out["role"] = role_text(member);
    out["version"] = member.identity->version;
    out["timeline"] = member.identity->position.epoch;
    if (member.behind_bytes) out["log_behind_bytes"] = *member.behind_bytes;
    out["slot"] = {{"exists", member.slot.exists},
                   {"lost", member.slot.lost},
                   {"held_bytes", member.slot.held_bytes},
                   {"share", job::log_pressure(member.slot).share}};
    if (member.slot.bound_bytes) out["slot"]["bound_bytes"] = *member.slot.bound_bytes;
    out["standbys"] = json::array();
    for (const auto& standby : member.standbys)
        out["standbys"].push_back(standby_json(standby));
    out["stray_slots"] = json::array();
    for (const auto& slot : member.stray_slots)
        out["stray_slots"].push_back(
            {{"name", slot.name}, {"active", slot.active}, {"held_bytes", slot.held_bytes}});
    out["prepared"] = member.prepared;
    out["orphans"] = json::array();
    for (const auto& [branch, age] : member.orphans) {
        out["orphans"].push_back({{"gid", branch.gid},
                                  {"age_us", age.count()},
                                  {"owner", branch.owner},
                                  {"database", branch.database}});
    }
    return out;
}

json state_json(const model::ObjectiveState& state)
{
    return {{"name", state.name},
            {"limit_us", state.limit.count()},
            {"actual_us", state.actual ? json(state.actual->count()) : json(nullptr)},
            {"met", state.met}};
}

json objective_json(const job::GroupStatus& status)
{
    json out = json::array();
    for (const auto& state : status.objective)
        out.push_back(state_json(state));
    return out;
}

json run_json(const model::Run& run)
{
    return {{"command", run.command},
            {"ended", base::format_time(run.ended)},
            {"exit", run.exit_code},
            {"error", run.error ? json(run.error->message) : json(nullptr)}};
}

json run_json(const repo::StoredRun& run)
{
    auto out = run_json(run.value);
    out["id"] = fmt::format("run-{}", run.number());
    return out;
}

void describe_json(json& document, const job::GroupStatus& status, bool configured)
{
    document["group"] = status.group;
    document["restorable"] = nullptr;
    if (status.restorable) {
        auto age = std::chrono::duration_cast<base::Duration>(status.now -
                                                              status.restorable->value.created);
        document["restorable"] = {{"mark", mark_summary(*status.restorable)},
                                  {"age_us", age.count()}};
    }
    document["last_full"] =
        status.last_full ? json(base::format_time(status.last_full->value.started)) : json(nullptr);
    if (configured) document["full_due"] = !status.full_due.empty();
    if (!status.full_due.empty()) document["full_why"] = status.full_due;
    if (!status.full_paused.empty()) document["full_paused"] = status.full_paused;
    if (status.next_full) document["next_full"] = base::format_time(*status.next_full);
    document["full_running"] = nullptr;
    if (const auto& running = status.full_running)
        document["full_running"] = {{"since", base::format_time(running->since)},
                                    {"command", running->owner.command},
                                    {"host", running->owner.host},
                                    {"pid", running->owner.pid}};
    document["proven"] = status.proof ? proof_json(*status.proof) : json(nullptr);
    if (status.last_drill)
        document["last_drill"] = {{"id", repo::drill_id(status.last_drill->number())},
                                  {"passed", status.last_drill->value.passed()}};
    document["objective"] = objective_json(status);
    if (status.rhythm) document["rhythm"] = state_json(*status.rhythm);
    if (status.last_run) document["last_run"] = run_json(*status.last_run);
    if (status.failed_run) document["failed_run"] = run_json(*status.failed_run);
    if (status.unrecorded_run) document["unrecorded_run"] = run_json(*status.unrecorded_run);
    document["broken_off"] = json::array();
    for (const auto& run : status.broken_off)
        document["broken_off"].push_back(open_run_json(run));
    document["lost"] = status.lost;
    document["damage"] = status.damage;
    document["needs_attention"] = status.needs_attention();
    document["attention"] = attention_json(status);
    document["left"] = status.left;
    document["unnamed"] = status.unnamed;
    document["members"] = json::array();
    for (const auto& member : status.members)
        document["members"].push_back(member_json(member));
}

} // namespace

std::vector<std::string> known_slots(Environment& environment)
{
    std::vector<std::string> out;
    if (!environment.configured() || environment.config() == nullptr) return out;
    for (const auto& group : environment.config()->groups)
        out.push_back(job::slot_name(group.name));
    return out;
}

int run_status(Environment& environment)
{
    auto view = environment.recent_view();
    auto status = job::read_status(environment.context(), view,
                                   {.ask_members = environment.configured(),
                                    .known_slots = known_slots(environment),
                                    .unrecorded = unrecorded_run(environment)});
    auto& output = environment.output();
    output.text(headline(status) + members_text(status) + runs_text(status) + proven_text(status) +
                notes_text(status) + attention_text(status));
    describe_json(output.document(), status, environment.configured());
    for (const auto& [key, why] : status.unreadable)
        environment.progress().warn(key + ": " + why);
    if (environment.options().metrics)
        write_metrics(*environment.options().metrics, render_metrics(status));
    if (!environment.options().exit_code) return 0;
    if (!status.is_restorable()) return static_cast<int>(Code::not_restorable);
    return static_cast<int>(status.needs_attention() ? Code::warnings : Code::ok);
}

} // namespace tidemark::app
