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
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

std::string backup_id(model::Number number)
{
    return fmt::format("b-{}", number);
}

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

json manifest_json(const repo::StoredManifest& backup)
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
            list.push_back(manifest_json(backup));
        }
    }
    environment.output().text(table.render());
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

std::optional<model::Number> number_after(std::string_view text, std::string_view prefix)
{
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    model::Number number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0)
        return std::nullopt;
    return number;
}

/// Each member has a backup of that number.
void refuse_bare_backup(Environment& environment, const std::string& id)
{
    if (!number_after(id, "b-")) return;
    std::string names;
    for (const auto& member : environment.group().members)
        names += fmt::format("{}{}/{}", names.empty() ? "" : ", ", member.name, id);
    throw Error{Code::usage,
                id + " is a backup of one member, and each member has its own",
                {.hint = "name the member, too: " + names}};
}

[[noreturn]] void throw_unknown(const std::string& id)
{
    throw Error{
        Code::usage,
        "there is no " + id,
        {.hint =
             "tidemark list marks|backups|sets|runs|drills|holds|restores shows what there is"}};
}

/// A stored JSON object, as it lies in the repository.
json stored_json(Environment& environment, const std::string& key)
{
    auto bytes = store::get(environment.repository().storage(), key, 64U << 20);
    if (!bytes) throw_unknown(key);
    return json::parse(base::as_text(*bytes));
}

int show_drill(Environment& environment, model::Number number)
{
    auto found =
        repo::Drills(environment.repository().storage(), environment.group().name).load(number);
    if (!found) throw_unknown(repo::drill_id(number));
    environment.output().document()["drill"] = drill_json(found->value, number);
    environment.output().text(drill_text(found->value, number));
    if (const auto& file = environment.options().report)
        write_drill_report(std::filesystem::absolute(*file), found->value, number);
    return 0;
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

int run_show(Environment& environment)
{
    const auto& id = environment.options().subject;
    auto& output = environment.output();
    const auto& group = environment.group().name;
    auto& storage = environment.repository().storage();
    if (auto set = number_after(id, "s-")) {
        auto found = repo::Sets(storage, group).load(*set);
        if (!found) throw_unknown(id);
        output.document()["set"] = stored_json(environment, found->object.key);
        output.text(json_text(set_json(*found)));
        return 0;
    }
    if (auto slash = id.find('/'); slash != std::string::npos) {
        auto number = number_after(std::string_view(id).substr(slash + 1), "b-");
        if (!number) throw_unknown(id);
        auto found =
            repo::Backups(storage, {.group = group, .member = id.substr(0, slash)}).load(*number);
        if (!found) throw_unknown(id);
        output.document()["backup"] = stored_json(environment, found->object.key);
        output.text(json_text(manifest_json(*found)));
        for (const auto& page : found->value.damaged)
            output.text(fmt::format("damaged: {} block {}: {}\n", page.path, page.block, page.why));
        if (auto all = found->value.totals.pages_damaged; all != 0)
            output.text(fmt::format("damaged: {} pages in all\n", all));
        return 0;
    }
    if (auto number = number_after(id, "run-")) {
        for (const auto& run : repo::Runs(storage, group).list()) {
            if (run.number() != *number) continue;
            output.document()["run"] = stored_json(environment, run.object.key);
            output.text(json_text(output.document()["run"]));
            return 0;
        }
        throw_unknown(id);
    }
    if (auto number = number_after(id, "drill-")) return show_drill(environment, *number);
    repo::Marks marks(storage, group);
    if (!marks.find(repo::parse_mark_selector(id))) refuse_bare_backup(environment, id);
    auto mark = marks.need(id);
    output.document()["mark"] = stored_json(environment, mark.object.key);
    output.text(mark_text(mark));
    auto proofs = repo::Drills(storage, group).proofs();
    auto proof = proofs.by_mark.find(mark.number());
    bool proven = proof != proofs.by_mark.end();
    output.document()["proven"] = proven ? proof_json(proof->second) : json(nullptr);
    output.text(proven ? "proven " + proof_text(proof->second, environment.clock().now()) + "\n"
                       : "not proven: no drill or restore brought it up\n");
    for (const auto& hold : repo::HoldBook(storage, group).holds()) {
        if (hold.mark != mark.number()) continue;
        output.document()["hold"] = {{"note", hold.note}, {"by", hold.by}};
        output.text(fmt::format("held by {} since {}{}{}\n", hold.by,
                                base::format_time_human(hold.since),
                                hold.until ? " until " + base::format_time_human(*hold.until) : "",
                                hold.note.empty() ? "" : ": " + hold.note));
    }
    return 0;
}

} // namespace tidemark::app
