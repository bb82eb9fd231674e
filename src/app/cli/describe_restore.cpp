// A restore, as it is planned and as it ended.

#include "app/cli/describe.h"
#include "app/cli/table.h"
#include "job/restore_space.h"
#include "model/decision_table.h"
#include "model/gid_text.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using nlohmann::json;

namespace {

/// In text; all of them are in the JSON.
constexpr std::size_t kShownGids = 20;

json in_doubt_json(const model::InDoubt& doubt)
{
    return {{"member", doubt.branch.member},
            {"gid", doubt.branch.gid},
            {"word", model::gid_word(doubt.branch.gid)},
            {"global_id", doubt.branch.global_id},
            {"xid", doubt.branch.xid},
            {"database", doubt.branch.database_name},
            {"verdict", model::decision_name(doubt.verdict.decision)},
            {"reason", model::reason_name(doubt.verdict.reason)},
            {"evidence", doubt.verdict.evidence},
            {"differs_from_production", doubt.differs_from_production}};
}

/// The operator's word about it, where there is one.
std::optional<bool> word_about(const model::InDoubt& doubt, const job::RestoreOptions& options)
{
    auto word = options.decisions.find({doubt.branch.member, doubt.branch.gid});
    return word == options.decisions.end() ? std::nullopt : std::optional(word->second);
}

/// Does the command line say where this member goes?
bool is_placed(const job::RestoreOptions& options, const std::string& member)
{
    return !options.dir.empty() || options.map.contains(member);
}

std::string plan_in_doubt_text(const model::Mark& mark, const job::RestoreOptions& options)
{
    std::size_t counts[3] = {0, 0, 0};
    for (const auto& doubt : mark.at.in_doubt)
        ++counts[static_cast<std::size_t>(doubt.verdict.decision)];
    auto out =
        fmt::format("\nin doubt at the mark: {} ({} to commit, {} to roll back, {} unknown)\n",
                    mark.at.in_doubt.size(), counts[1], counts[2], counts[0]);
    std::size_t open = 0, shown = 0;
    for (const auto& doubt : mark.at.in_doubt) {
        if (doubt.verdict.decision != model::Decision::unknown) continue;
        auto word = word_about(doubt, options);
        if (!word) ++open;
        if (shown++ >= kShownGids) continue;
        out += fmt::format("  unknown: {} {}{}\n", doubt.branch.member,
                           model::gid_word(doubt.branch.gid),
                           !word   ? ""
                           : *word ? ": commit, as --decisions says"
                                   : ": rollback, as --decisions says");
    }
    if (shown > kShownGids)
        out += fmt::format("  and {} more, all of them with --json\n", shown - kShownGids);
    if (!options.settle && !mark.at.in_doubt.empty())
        out +=
            "  all of it stays prepared (--in-doubt keep), and the restore ends with exit code 3\n";
    else if (open > 0)
        out += "  these stay prepared, and the restore ends with exit code 3, unless a file given "
               "with --decisions settles them\n";
    return out;
}

/// Without a decision table no log shows what a coordinator committed in one phase (rules.md 7):
/// whoever has such a coordinator must see what is rolled back because nobody's commit is there.
std::string one_phase_note(const std::vector<std::pair<std::string, std::string>>& rollbacks)
{
    constexpr std::size_t kShown = 20;
    if (rollbacks.empty()) return {};
    std::string out =
        "rolled back because no member committed it; wrong if its coordinator commits "
        "its own part in one phase (then name its `decision` table, or restore with "
        "--in-doubt keep):\n";
    for (std::size_t i = 0; i < std::min(rollbacks.size(), kShown); ++i)
        out += fmt::format("  {} {}\n", rollbacks[i].first, model::gid_word(rollbacks[i].second));
    if (rollbacks.size() > kShown) out += fmt::format("  and {} more\n", rollbacks.size() - kShown);
    return out;
}

std::string one_phase_note(const model::Mark& mark)
{
    std::vector<std::pair<std::string, std::string>> rollbacks;
    for (const auto& doubt : mark.at.in_doubt)
        if (mark.flags.two_phase_only && doubt.verdict.decision == model::Decision::rollback)
            rollbacks.emplace_back(doubt.branch.member, doubt.branch.gid);
    return one_phase_note(rollbacks);
}

} // namespace

json plan_json(const repo::RestorePlan& plan, const job::RestoreOptions& options)
{
    json out = {{"group", plan.group},         {"bytes_to_write", plan.bytes_to_write},
                {"log_bytes", plan.log_bytes}, {"stored_bytes", plan.stored_bytes},
                {"warnings", plan.warnings},   {"notes", plan.notes}};
    const auto room = job::room_of(plan);
    out["room_bytes"] = room.least;
    out["room_most_bytes"] = room.most;
    if (plan.mark) {
        out["mark"] = mark_summary(*plan.mark);
        out["in_doubt"] = json::array();
        for (const auto& doubt : plan.mark->value.at.in_doubt) {
            auto one = in_doubt_json(doubt);
            auto word = word_about(doubt, options);
            one["decided"] = word ? json(*word ? "commit" : "rollback") : json(nullptr);
            out["in_doubt"].push_back(std::move(one));
        }
    }
    for (const auto& [name, member] : plan.members) {
        out["members"].push_back(
            {{"name", name},
             {"backup", backup_id(member.backup.number())},
             {"backup_started", base::format_time(member.backup.value.started)},
             {"damaged", member.damaged},
             {"target", model::format_position(member.target)},
             {"log_from", model::format_position(member.log_from)},
             {"log_to", model::format_position(member.log_to)},
             {"pieces", member.pieces.size()},
             {"bytes_to_write", member.bytes_to_write},
             {"log_bytes", member.log_bytes}});
        auto& one = out["members"].back();
        const bool placed = is_placed(options, name);
        one["folder"] = placed ? json(job::member_folder(options, name).string()) : json(nullptr);
        one["tablespaces"] = json::array();
        for (const auto& [oid, location] : member.backup.value.facts.tablespaces) {
            one["tablespaces"].push_back(
                {{"oid", oid},
                 {"location", location},
                 {"folder", placed || options.tablespaces.contains({name, oid})
                                ? json(job::tablespace_folder(options, name, oid).string())
                                : json(nullptr)}});
        }
    }
    return out;
}

std::string plan_text(const repo::RestorePlan& plan, const job::RestoreOptions& options)
{
    std::string out;
    if (plan.mark)
        out += fmt::format("restore {} to {}{}\n\n", plan.group, point_title(*plan.mark),
                           plan.mark->number() == 0
                               ? ""
                               : ", " + base::format_time_human(plan.mark->value.created));
    Table table({"MEMBER", "FROM", "LOG TO REPLAY", "STOP BEFORE", "TARGET", "WRITES"});
    for (const auto& [name, member] : plan.members) {
        table.row(
            {name,
             fmt::format("b-{} of {}", member.backup.number(),
                         base::format_time_human(member.backup.value.started)),
             base::format_size(member.log_bytes), model::format_position(member.target),
             is_placed(options, name) ? (job::member_folder(options, name) / "data").string() : "-",
             base::format_size(member.bytes_to_write)});
    }
    out += table.render(2);
    if (auto room = job::room_of(plan); room.most > 0)
        out += fmt::format("  room: {}, up to {} with what the log adds\n",
                           base::format_size(room.least), base::format_size(room.most));
    for (const auto& [name, member] : plan.members) {
        if (!is_placed(options, name)) continue;
        for (const auto& [oid, location] : member.backup.value.facts.tablespaces)
            out += fmt::format("  tablespace {} of {} (was {}): {}\n", oid, name, location,
                               job::tablespace_folder(options, name, oid).string());
    }
    if (plan.mark) {
        out += plan_in_doubt_text(plan.mark->value, options);
        out += one_phase_note(plan.mark->value);
        for (const auto& asked : plan.mark->value.decision_tables)
            if (asked.table != model::kNoDecisionTable)
                out += fmt::format("asked first: decision table {} of {}\n", asked.table,
                                   asked.member);
    }
    for (const auto& warning : plan.warnings)
        out += "warning: " + warning + "\n";
    for (const auto& note : plan.notes)
        out += "note: " + note + "\n";
    return out;
}

json report_json(const job::RestoreReport& report)
{
    json out = {{"group", report.group},
                {"started", base::format_time(report.started)},
                {"ended", base::format_time(report.ended)},
                {"warnings", report.warnings},
                {"notes", report.notes},
                {"unsettled", report.unsettled}};
    if (report.mark) out["mark"] = mark_summary(*report.mark);
    for (const auto& member : report.members) {
        json one = {{"name", member.name},
                    {"data_dir", member.data_dir.string()},
                    {"backup", backup_id(member.backup)},
                    {"bytes_written", member.bytes},
                    {"log_replayed", member.log_bytes},
                    {"target", model::format_position(member.target)},
                    {"reached", model::format_position(member.reached)},
                    {"evidence", member.evidence},
                    {"new_epoch", member.epoch},
                    {"write_us", member.write_time.count()},
                    {"recover_us", member.recover_time.count()},
                    {"open_us", member.open_time.count()},
                    {"neutralised", member.hand_over.neutralised},
                    {"changed_lines", member.hand_over.changed_lines},
                    {"kept_files", member.hand_over.kept_files},
                    {"warnings", member.warnings},
                    {"socket_dir", member.hand_over.socket_dir},
                    {"port", member.hand_over.port},
                    {"start_command", member.hand_over.start_command}};
        one["decisions"] = json::array();
        for (const auto& decision : member.decisions) {
            one["decisions"].push_back(
                {{"gid", decision.gid},
                 {"word", model::gid_word(decision.gid)},
                 {"global_id", decision.global_id},
                 {"database", decision.database},
                 {"action", decision.action},
                 {"evidence", decision.evidence},
                 {"differs_from_production", decision.differs_from_production}});
        }
        out["members"].push_back(std::move(one));
    }
    if (report.lost) {
        out["lost"] = json::array();
        for (const auto& lost : *report.lost) {
            out["lost"].push_back({{"member", lost.member},
                                   {"from", model::format_position(lost.from)},
                                   {"to", model::format_position(lost.to)},
                                   {"complete", lost.unknown.empty()},
                                   {"commits", lost.commits},
                                   {"gids", lost.gids}});
        }
    }
    return out;
}

namespace {

/// The distributed transactions among what is lost, by name; all of them are in the JSON.
std::string lost_gids(const job::LostWork& lost)
{
    std::string out;
    for (std::size_t i = 0; i < std::min(lost.gids.size(), kShownGids); ++i)
        out += fmt::format("  {}: {}\n", lost.member, model::gid_word(lost.gids[i]));
    if (lost.gids.size() > kShownGids)
        out += fmt::format("  {}: and {} more\n", lost.member, lost.gids.size() - kShownGids);
    return out;
}

/// What the restore gave up, as far as the stored log tells.
std::string lost_text(const job::RestoreReport& report)
{
    if (!report.lost)
        return "\nlost: this was written before the members were opened and the log after the mark "
               "was looked through\n";
    if (report.lost->empty()) return "\nlost: the stored log shows nothing after the mark\n";
    std::string out = "\nlost (in the stored log after the restored positions):\n";
    Table lost({"MEMBER", "FROM", "TO", "COMMITS", "DISTRIBUTED"});
    for (const auto& one : *report.lost) {
        auto count = [&](std::uint64_t number) {
            return fmt::format("{}{}", number, one.unknown.empty() ? "" : " or more");
        };
        lost.row({one.member, model::format_position(one.from), model::format_position(one.to),
                  count(one.commits), count(one.gids.size())});
    }
    out += lost.render(2);
    for (const auto& one : *report.lost)
        out += lost_gids(one);
    out += "  What was committed later than the stored log ends is lost too; no log tells of "
           "it.\n";
    return out;
}

/// What is left to a person.
std::string unsettled_text(const job::RestoreReport& report)
{
    std::string out =
        "kept prepared: write these lines into a file, each with `commit` or `rollback` at "
        "its end, and run\nthe same command with --decisions FILE; or settle them by hand "
        "with COMMIT PREPARED\n";
    for (const auto& member : report.members) {
        for (const auto& decision : member.decisions) {
            if (decision.action == "kept")
                out += fmt::format("  {} {} \n", member.name, model::gid_word(decision.gid));
        }
    }
    return out;
}

} // namespace

std::string report_text(const job::RestoreReport& report)
{
    std::string out = fmt::format("restored {}{} in {}\n\n", report.group,
                                  report.mark ? " to " + point_title(*report.mark) : "",
                                  base::format_duration(std::chrono::duration_cast<base::Duration>(
                                      report.ended - report.started)));
    Table table({"MEMBER", "BACKUP", "WRITTEN", "LOG REPLAYED", "REACHED", "TIMELINE", "FILES",
                 "REPLAY", "OPEN"});
    for (const auto& member : report.members) {
        table.row({member.name, backup_id(member.backup), base::format_size(member.bytes),
                   base::format_size(member.log_bytes), model::format_position(member.reached),
                   std::to_string(member.epoch), base::format_duration(member.write_time),
                   base::format_duration(member.recover_time),
                   base::format_duration(member.open_time)});
    }
    out += table.render(2);
    for (const auto& member : report.members) {
        out += fmt::format("\n{} in {}\n", member.name, member.data_dir.string());
        out += "  " + member.evidence + "\n";
        for (const auto& decision : member.decisions) {
            out += fmt::format("  in doubt {} ({}): {}; {}{}\n", model::gid_word(decision.gid),
                               decision.database, decision.action, decision.evidence,
                               decision.differs_from_production ? "; differs from production" : "");
        }
        for (const auto& line : member.hand_over.neutralised)
            out += "  switched off: " + line + "\n";
        for (const auto& line : member.hand_over.changed_lines)
            out += "  changed: " + line + "\n";
        for (const auto& name : member.hand_over.kept_files)
            out += "  kept as it was found: " + name + "\n";
        for (const auto& line : member.warnings)
            out += "  warning: " + line + "\n";
        if (!member.hand_over.socket_dir.empty())
            out += fmt::format("  running: host={} port={}\n", member.hand_over.socket_dir,
                               member.hand_over.port);
        else
            out += "  start: " + member.hand_over.start_command + "\n";
    }
    out += lost_text(report);
    std::vector<std::pair<std::string, std::string>> rollbacks;
    for (const auto& member : report.members)
        for (const auto& decision : member.decisions)
            if (report.mark && report.mark->value.flags.two_phase_only &&
                decision.action == "rollback")
                rollbacks.emplace_back(member.name, decision.gid);
    out += one_phase_note(rollbacks);
    for (const auto& warning : report.warnings)
        out += "warning: " + warning + "\n";
    for (const auto& note : report.notes)
        out += "note: " + note + "\n";
    if (report.unsettled) out += unsettled_text(report);
    return out;
}

} // namespace tidemark::app
