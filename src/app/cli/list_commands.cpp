#include "app/cli/commands.h"
#include "app/cli/describe.h"
#include "app/cli/drill_report.h"
#include "app/cli/restore_setup.h"
#include "app/cli/table.h"
#include "job/moment.h"
#include "repo/drills.h"
#include "repo/holds.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

/// How many of the newest are shown; 0: all.
std::size_t limit_of(const Environment& environment)
{
    return environment.options().limit.value_or(100);
}

/// One more than is shown, so that it can be told whether there are more; 0: all.
std::size_t to_load(const Environment& environment)
{
    auto limit = limit_of(environment);
    return limit == 0 ? 0 : limit + 1;
}

void tell_of_more(Environment& environment, bool more)
{
    environment.output().document()["more"] = more;
    if (more)
        environment.progress().note(fmt::format(
            "there are older ones than these {}; --limit 0 shows all", limit_of(environment)));
}

/// Newest first, no more of them than asked for. Says so when there are more.
template <typename Item>
std::span<const Item> shown(Environment& environment, const std::vector<Item>& all)
{
    auto limit = limit_of(environment);
    bool more = limit != 0 && all.size() > limit;
    tell_of_more(environment, more);
    return std::span(all).first(more ? limit : all.size());
}

std::set<model::Number> held_marks(Environment& environment)
{
    std::set<model::Number> held;
    auto now = environment.clock().now();
    repo::Unreadable unreadable;
    repo::HoldBook book(environment.repository().storage(), environment.group().name);
    auto holds = book.holds(&unreadable);
    warn_of_unreadable(environment, unreadable);
    for (const auto& hold : holds)
        if (hold.in_force(now)) held.insert(hold.mark);
    return held;
}

/// The newest ones; and however old they are, those that are held and the newest restorable one,
/// because it is what somebody looks for when the newest are not.
struct ShownMarks {
    std::vector<model::Number> restorable; ///< ascending
    std::set<model::Number> held;
    std::vector<const repo::StoredMark*> rows;
    bool more = false;
};

/// From the newest ones; loads all of them where that takes older ones.
ShownMarks choose_marks(Environment& environment, repo::RepositoryView& view)
{
    ShownMarks out;
    out.held = held_marks(environment);
    const auto limit = limit_of(environment);
    auto is_shown = [&](model::Number number) {
        const auto& marks = view.marks;
        return limit == 0 || marks.size() <= limit || marks[limit - 1].number() <= number;
    };
    out.restorable = repo::restorable_marks(view);
    bool enough =
        std::ranges::any_of(out.restorable, is_shown) && std::ranges::all_of(out.held, is_shown);
    if (limit != 0 && view.marks.size() > limit && !enough) {
        view = environment.view({.sets = repo::SetScope::none});
        out.restorable = repo::restorable_marks(view);
    }
    for (const auto& mark : view.marks) {
        bool newest_good = !out.restorable.empty() && mark.number() == out.restorable.back();
        if (is_shown(mark.number()) || newest_good || out.held.contains(mark.number()))
            out.rows.push_back(&mark);
        else
            out.more = true;
    }
    return out;
}

void list_marks(Environment& environment, repo::RepositoryView& view)
{
    Table table({"MARK", "TIME", "NAME", "SPREAD", "IN DOUBT", "RESTORABLE", "PROVEN"});
    auto chosen = choose_marks(environment, view);
    auto proofs = repo::Drills(environment.repository().storage(), view.group).proofs();
    warn_of_unreadable(environment, proofs.unreadable);
    auto& list = environment.output().document()["marks"] = json::array();
    tell_of_more(environment, chosen.more);
    for (const auto* row : chosen.rows) {
        const auto& mark = *row;
        bool restorable = std::ranges::binary_search(chosen.restorable, mark.number());
        bool held = chosen.held.contains(mark.number());
        auto proof = proofs.by_mark.find(mark.number());
        bool proven = proof != proofs.by_mark.end();
        auto lost = mark.value.at.lost.size();
        table.row({repo::mark_id(mark.number()), base::format_time_human(mark.value.created),
                   mark.value.name,
                   fmt::format("{:.1f} ms", static_cast<double>(mark.value.spread.count()) / 1000),
                   std::to_string(mark.value.at.in_doubt.size()),
                   std::string(restorable ? "yes" : "no") + (held ? ", held" : "") +
                       (lost == 0 ? "" : fmt::format(", {} lost", lost)) +
                       (mark.value.flags.heuristic_damage ? ", damage" : ""),
                   proven ? proof_text(proof->second, environment.clock().now()) : "-"});
        auto summary = mark_summary(mark);
        summary["restorable"] = restorable;
        summary["proven"] = proven ? proof_json(proof->second) : json(nullptr);
        summary["held"] = held;
        list.push_back(std::move(summary));
    }
    environment.output().text(table.render());
}

void list_backups(Environment& environment, const repo::RepositoryView& view)
{
    Table table({"MEMBER", "BACKUP", "STARTED", "SIZE", "STORED", "CONSISTENT FROM", "STATE"});
    auto& list = environment.output().document()["backups"] = json::array();
    for (const auto& [name, member] : view.members) {
        for (const auto& backup : member.backups) {
            table.row({name, backup_id(backup.number()),
                       base::format_time_human(backup.value.started),
                       base::format_size(backup.value.totals.file_bytes),
                       base::format_size(backup.value.totals.stored_bytes),
                       model::format_position(backup.value.stop),
                       backup.value.is_damaged() ? "damaged" : "good"});
            list.push_back(backup_json(backup));
        }
    }
    environment.output().text(table.render());
}

void list_sets(Environment& environment, const repo::RepositoryView& view)
{
    Table table({"SET", "KIND", "MARK", "ENDED", "PIECES"});
    auto& list = environment.output().document()["sets"] = json::array();
    for (const auto& set : shown(environment, view.sets)) {
        std::size_t pieces = 0;
        for (const auto& [name, member] : set.value.members)
            pieces += member.pieces.size();
        table.row({fmt::format("s-{}", set.number()),
                   set.value.kind == model::SetKind::full ? "full" : "log",
                   repo::mark_id(set.value.mark), base::format_time_human(set.value.ended),
                   std::to_string(pieces)});
        list.push_back(set_json(set));
    }
    environment.output().text(table.render());
}

std::string took(base::Time from, base::Time to)
{
    // A run that was killed at once has no later sign than its beginning.
    return base::format_duration(
        std::max(base::Duration{}, std::chrono::duration_cast<base::Duration>(to - from)));
}

/// What has begun and is in no record: at work, or broken off since the last run.
void list_open_runs(Environment& environment, Table& table)
{
    auto& list = environment.output().document()["open"] = json::array();
    const auto& group = environment.group().name;
    auto open = repo::open_runs(environment.repository().storage(), group);
    for (auto run = open.rbegin(); run != open.rend(); ++run) {
        table.row({"-", run->command, base::format_time_human(run->started),
                   took(run->started, run->last_sign), run->broken_off ? "broken off" : "at work",
                   run->broken_off ? repo::broken_off_run(group, *run).error->message
                                   : fmt::format("process {} on {}", run->pid, run->host)});
        list.push_back(open_run_json(*run));
    }
}

void list_runs(Environment& environment)
{
    Table table({"RUN", "COMMAND", "STARTED", "TOOK", "RESULT", "ERROR"});
    list_open_runs(environment, table);
    auto& list = environment.output().document()["runs"] = json::array();
    repo::Unreadable unreadable;
    auto runs = repo::Runs(environment.repository().storage(), environment.group().name)
                    .list(to_load(environment), &unreadable);
    warn_of_unreadable(environment, unreadable);
    for (const auto& run : shown(environment, runs)) {
        auto name = run.value.broken_off ? "broken off"
                                         : base::code_name(static_cast<Code>(run.value.exit_code));
        table.row({fmt::format("run-{}", run.number()), run.value.command,
                   base::format_time_human(run.value.started),
                   took(run.value.started, run.value.ended), std::string(name),
                   run.value.error ? run.value.error->message : ""});
        list.push_back({{"id", fmt::format("run-{}", run.number())},
                        {"command", run.value.command},
                        {"host", run.value.host},
                        {"started", base::format_time(run.value.started)},
                        {"ended", base::format_time(run.value.ended)},
                        {"exit", run.value.exit_code},
                        {"broken_off", run.value.broken_off},
                        {"error", run.value.error ? run.value.error->message : ""}});
    }
    environment.output().text(table.render());
}

/// In whole seconds, rounded inwards: what is printed can be reached.
std::pair<std::string, std::string> window_text(const job::Window& window)
{
    using std::chrono::seconds;
    base::Time from = std::chrono::ceil<seconds>(window.from);
    base::Time to = std::chrono::floor<seconds>(window.to);
    if (from > to) return {base::format_time(window.from), base::format_time(window.to)};
    return {base::format_time_human(from), base::format_time_human(to)};
}

void list_windows(Environment& environment, const repo::RepositoryView& view)
{
    Table table({"FROM", "TO", "LONG", "MARKS"});
    auto& list = environment.output().document()["windows"] = json::array();
    for (const auto& window : job::restore_windows(view)) {
        if (window.empty()) continue;
        auto [from, to] = window_text(window);
        table.row({from, to,
                   base::format_duration(
                       std::chrono::duration_cast<base::Duration>(window.to - window.from)),
                   repo::mark_id(window.first) + " - " + repo::mark_id(window.last)});
        list.push_back({{"from", base::format_time(window.from)},
                        {"to", base::format_time(window.to)},
                        {"first_mark", repo::mark_id(window.first)},
                        {"last_mark", repo::mark_id(window.last)}});
    }
    environment.output().text(table.render());
}

void list_drills(Environment& environment)
{
    Table table({"DRILL", "KIND", "MARK", "STARTED", "OPEN AFTER", "RESULT"});
    auto& list = environment.output().document()["drills"] = json::array();
    repo::Unreadable unreadable;
    auto drills = repo::Drills(environment.repository().storage(), environment.group().name)
                      .list(to_load(environment), &unreadable);
    warn_of_unreadable(environment, unreadable);
    for (const auto& stored : shown(environment, drills)) {
        const auto& drill = stored.value;
        table.row(
            {repo::drill_id(stored.number()), std::string(model::drill_kind_name(drill.kind)),
             drill.mark == 0 ? base::format_time_human(drill.mark_time) : repo::mark_id(drill.mark),
             base::format_time_human(drill.started),
             drill.restore_took ? base::format_duration(*drill.restore_took) : "-",
             drill_verdict(drill)});
        auto one = drill_json(drill, stored.number());
        for (const char* bulky : {"members", "stages", "checks", "decisions"})
            one.erase(bulky);
        list.push_back(std::move(one));
    }
    environment.output().text(table.render());
}

/// A listing reads no more than it shows, or asks the question "can it be restored?".
repo::ViewOptions needed_for(const Environment& environment)
{
    const auto& what = environment.options().subject;
    if (what == "sets")
        return {.marks = 1, .backups = 1, .newest_sets = to_load(environment), .proofs = false};
    if (what == "backups") return {.marks = 1, .sets = repo::SetScope::none, .proofs = false};
    if (what == "windows") return {.sets = repo::SetScope::none, .proofs = false};
    return {.marks = to_load(environment), .sets = repo::SetScope::none};
}

void list_view(Environment& environment)
{
    const auto& what = environment.options().subject;
    auto view = environment.view(needed_for(environment));
    if (what == "marks")
        list_marks(environment, view);
    else if (what == "backups")
        list_backups(environment, view);
    else if (what == "windows")
        list_windows(environment, view);
    else
        list_sets(environment, view);
    warn_of_unreadable(environment, view.unreadable);
}

} // namespace

void warn_of_unreadable(Environment& environment, const repo::Unreadable& unreadable)
{
    for (const auto& [key, why] : unreadable)
        environment.progress().warn(key + ": " + why);
}

int run_list(Environment& environment)
{
    const auto& what = environment.options().subject;
    if (environment.options().limit && what != "marks" && what != "sets" && what != "runs" &&
        what != "drills")
        throw Error{Code::usage,
                    "--limit is for marks, sets, runs and drills",
                    {.hint = fmt::format("leave it out: tidemark list {} shows all", what)}};
    if (what == "restores")
        list_restores(environment);
    else if (what == "holds")
        list_holds(environment);
    else if (what == "runs")
        list_runs(environment);
    else if (what == "drills")
        list_drills(environment);
    else
        list_view(environment);
    return environment.done();
}

} // namespace tidemark::app
