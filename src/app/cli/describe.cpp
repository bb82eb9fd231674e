#include "app/cli/describe.h"

#include "app/cli/table.h"
#include "model/lost.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using nlohmann::json;

namespace {

std::string milliseconds(base::Duration duration)
{
    return fmt::format("{:.1f} ms", static_cast<double>(duration.count()) / 1000);
}

/// Those that are set.
json flags_json(const model::CutFlags& flags)
{
    json out = json::array();
    auto add = [&](bool set, const char* name) {
        if (set) out.push_back(name);
    };
    add(flags.two_phase_only, "two_phase_only");
    add(flags.heuristic_damage, "heuristic_damage");
    add(flags.differs_from_production, "differs_from_production");
    add(flags.unknown_verdicts, "unknown_verdicts");
    add(flags.lost_prepares, "lost_prepares");
    add(flags.unknown_finishes, "unknown_finishes");
    add(flags.relies_on_clocks, "relies_on_clocks");
    return out;
}

} // namespace

std::string mark_title(const repo::StoredMark& mark)
{
    if (mark.number() == 0) return "the moment " + base::format_time_human(mark.value.created);
    auto id = repo::mark_id(mark.number());
    return mark.value.name.empty() ? id : id + " " + mark.value.name;
}

std::string point_title(model::Number mark, const std::string& name, base::Time time)
{
    if (mark == 0) return "the moment " + base::format_time_human(time);
    return "mark " + repo::mark_id(mark) + (name.empty() ? "" : " " + name);
}

std::string point_title(const repo::StoredMark& mark)
{
    return point_title(mark.number(), mark.value.name, mark.value.created);
}

json mark_id_json(model::Number mark)
{
    return mark == 0 ? json(nullptr) : json(repo::mark_id(mark));
}

std::string backup_id(model::Number number)
{
    return fmt::format("b-{}", number);
}

json backup_json(const repo::StoredManifest& backup)
{
    const auto& value = backup.value;
    json out = {{"member", value.member},
                {"id", backup_id(backup.number())},
                {"started", base::format_time(value.started)},
                {"ended", base::format_time(value.ended)},
                {"start", model::format_position(value.start)},
                {"stop", model::format_position(value.stop)},
                {"version", value.identity.version},
                {"over_wire", value.over_wire},
                {"files", value.totals.files},
                {"file_bytes", value.totals.file_bytes},
                {"stored_bytes", value.totals.stored_bytes},
                {"pages_verified", value.totals.pages_verified},
                {"packs", value.packs.size()},
                {"damaged", value.damaged_pages()}};
    return out;
}

json set_json(const repo::StoredSet& set)
{
    json out = {{"id", fmt::format("s-{}", set.number())},
                {"kind", set.value.kind == model::SetKind::full ? "full" : "log"},
                {"mark", repo::mark_id(set.value.mark)},
                {"started", base::format_time(set.value.started)},
                {"ended", base::format_time(set.value.ended)}};
    for (const auto& [name, member] : set.value.members) {
        json one = {{"name", name}, {"pieces", member.pieces.size()}};
        if (member.backup) one["backup"] = backup_id(*member.backup);
        if (member.log_to) one["log_to"] = model::format_position(*member.log_to);
        out["members"].push_back(std::move(one));
    }
    return out;
}

json open_run_json(const repo::OpenRun& run)
{
    return {{"command", run.command},
            {"host", run.host},
            {"pid", run.pid},
            {"started", base::format_time(run.started)},
            {"last_sign", base::format_time(run.last_sign)},
            {"broken_off", run.broken_off}};
}

json mark_summary(const repo::StoredMark& mark)
{
    json out = {{"id", mark_id_json(mark.number())},
                {"number", mark.number() == 0 ? json(nullptr) : json(mark.number())},
                {"name", mark.value.name},
                {"time", base::format_time(mark.value.created)},
                {"spread_us", mark.value.spread.count()},
                {"in_doubt", mark.value.at.in_doubt.size()},
                {"two_phase_only", mark.value.flags.two_phase_only},
                {"flags", flags_json(mark.value.flags)},
                {"lost", json::array()}};
    for (const auto& lost : mark.value.at.lost)
        out["lost"].push_back(lost.global_id);
    for (const auto& member : mark.value.members) {
        out["members"].push_back({{"name", member.name},
                                  {"position", model::format_position(member.cut)},
                                  {"retreat_bytes", member.retreat_bytes}});
    }
    return out;
}

std::string mark_text(const repo::StoredMark& mark)
{
    const auto& value = mark.value;
    std::string out = fmt::format("mark {} of group {}, {}\n", mark_title(mark), value.group,
                                  base::format_time_human(value.created));
    out +=
        fmt::format("restore points {} placed within {}; they bound the mark, and a restore stops "
                    "at RESTORE TO, not at this name\n\n",
                    value.restore_point, milliseconds(value.spread));
    Table members({"MEMBER", "VERSION", "RESTORE TO", "RESTORE POINT", "RETREAT", "LOG NEEDED TO"});
    for (const auto& member : value.members) {
        members.row({member.name, member.version, model::format_position(member.cut),
                     model::format_offset(member.r), fmt::format("{} B", member.retreat_bytes),
                     model::format_offset(member.log_end)});
    }
    out += members.render(2);
    for (const auto& member : value.members) {
        if (!member.retreat) continue;
        out += fmt::format("  {} retreats because {} was prepared at {} only after that\n",
                           member.name,
                           member.retreat->global_id.empty() ? "an unknown transaction"
                                                             : member.retreat->global_id,
                           member.retreat->because_of);
    }
    out += fmt::format("\nspanning it: {} distributed transactions; in doubt: {} branches\n",
                       value.at.spanning.size(), value.at.in_doubt.size());
    if (!value.at.in_doubt.empty()) {
        Table doubts({"MEMBER", "GID", "VERDICT", "EVIDENCE"});
        for (const auto& doubt : value.at.in_doubt) {
            doubts.row({doubt.branch.member, doubt.branch.gid,
                        std::string(model::decision_name(doubt.verdict.decision)),
                        doubt.verdict.evidence});
        }
        out += doubts.render(2);
    }
    if (value.flags.two_phase_only)
        out += "two-phase only: coordinators that commit their own part in one phase are not "
               "covered\n";
    for (const auto& table : value.decision_tables)
        out += fmt::format("decision table: {} of {}, {} late commits to be looked for\n",
                           table.table, table.member, value.decided.size());
    for (const auto& damaged : value.at.damaged)
        out += model::damage_sentence(damaged) + "\n";
    for (const auto& lost : value.at.lost)
        out += model::lost_sentence(lost) + "\n";
    for (const auto& id : value.at.ambiguous_ids)
        out += fmt::format("ambiguous: the id {} was used again too soon to tell its uses apart\n",
                           id);
    if (!value.at.unknown_finishes.empty())
        out += fmt::format("{} ended whose prepare nobody saw\n",
                           value.at.unknown_finishes.size() == 1
                               ? "1 branch"
                               : fmt::format("{} branches", value.at.unknown_finishes.size()));
    for (const auto& violation : value.violations)
        out += fmt::format("violation: {} at {}\n", model::violation_name(violation.kind),
                           violation.member);
    return out;
}

std::string json_text(const json& value)
{
    return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace tidemark::app
