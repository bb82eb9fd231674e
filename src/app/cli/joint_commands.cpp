#include "app/cli/commands.h"
#include "app/cli/describe.h"
#include "app/cli/restore_setup.h"
#include "app/cli/table.h"
#include "job/joint_copies.h"
#include "job/joint_restore.h"
#include "repo/restore_book.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::app {

using base::Code;
using base::Error;
using model::JointRestore;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

repo::RestoreBook book_of(Environment& environment)
{
    return {environment.repository().storage(), environment.group().name};
}

std::string state_of(const JointRestore& restore)
{
    if (restore.is_open()) return restore.missing().empty() ? "all at the mark" : "waiting";
    return restore.given_up ? "given up" : "opened";
}

json restore_json(const JointRestore& restore)
{
    json out = {{"id", model::restore_id(restore.number)},
                {"mark", repo::mark_id(restore.mark)},
                {"begun", base::format_time(restore.begun)},
                {"host", restore.host},
                {"state", state_of(restore)},
                {"ended", restore.ended ? json(base::format_time(*restore.ended)) : json(nullptr)},
                {"missing", restore.is_open() ? restore.missing() : std::vector<std::string>{}},
                {"members", json::array()}};
    for (const auto& name : restore.members) {
        json one = {{"name", name}, {"state", "not_begun"}};
        if (auto found = restore.reports.find(name); found != restore.reports.end()) {
            const auto& report = found->second;
            one["state"] = model::stage_name(report.stage);
            one["host"] = report.host;
            one["folder"] = report.folder;
            one["program"] = report.program;
            one["at"] = base::format_time(report.at);
            one["text"] = report.text;
            if (report.ready()) one["reached"] = model::format_position(report.reached);
        }
        out["members"].push_back(std::move(one));
    }
    return out;
}

std::string restore_text(const JointRestore& restore)
{
    auto out = fmt::format("{}: to mark {}, begun on {} at {}: {}\n\n",
                           model::restore_id(restore.number), repo::mark_id(restore.mark),
                           restore.host, base::format_time_human(restore.begun), state_of(restore));
    Table table({"MEMBER", "STATE", "HOST", "FOLDER", "REPORTED"});
    for (const auto& name : restore.members) {
        auto found = restore.reports.find(name);
        if (found == restore.reports.end()) {
            table.row({name, "not begun", "-", "-", "-"});
            continue;
        }
        const auto& report = found->second;
        static constexpr std::string_view kWords[] = {"?", "working", "failed",
                                                      "at the mark, closed", "opened"};
        table.row({name, std::string(kWords[static_cast<std::size_t>(report.stage)]), report.host,
                   report.folder, base::format_time_human(report.at)});
    }
    out += table.render(2);
    for (const auto& [name, report] : restore.reports)
        if (report.stage == model::JointStage::failed)
            out += fmt::format("{} failed: {}\n", name, report.text);
    return out;
}

/// The next commands, for whoever reads this screen and no page.
std::vector<std::string> next_steps(Environment& environment, const JointRestore& restore)
{
    std::vector<std::string> out;
    if (!restore.is_open()) return out;
    const auto& url = environment.repository_spec().url;
    auto place = url.find("://") == std::string::npos ? fs::absolute(url).string() : url;
    auto line = fmt::format("tidemark --repo {} restore {}", place, environment.group().name);
    for (const auto& name : restore.missing())
        out.push_back(
            fmt::format("{} --only {} --to {} --dir DIR", line, name, repo::mark_id(restore.mark)));
    std::set<std::string> places;
    for (const auto& [name, report] : restore.reports) {
        if (report.stage == model::JointStage::opened) continue;
        const fs::path folder(report.folder);
        // Where --map has put it, no --dir finds it.
        places.insert(folder.filename() == name ? "--dir " + folder.parent_path().string()
                                                : fmt::format("--map {}={}", name, report.folder));
    }
    if (places.empty()) places.insert("--dir DIR");
    for (const auto& where : places)
        out.push_back(fmt::format("{} --open {}", line, where));
    return out;
}

void tell(Environment& environment, const JointRestore& restore)
{
    auto& output = environment.output();
    auto& document = output.document()["restore"] = restore_json(restore);
    auto steps = next_steps(environment, restore);
    document["next"] = steps;
    output.text("\n" + restore_text(restore));
    if (!restore.is_open()) return;
    if (!restore.missing().empty())
        output.text("\nnext, on the host of each that is missing; --open on every host when none "
                    "is:\n");
    else
        output.text("\nnext, on each of these hosts:\n");
    for (const auto& step : steps)
        output.text("  " + step + "\n");
}

int code_of(Environment& environment, bool unsettled)
{
    return static_cast<int>(unsettled || !environment.progress().warnings().empty() ? Code::warnings
                                                                                    : Code::ok);
}

/// The command writes a new generation in the place of damaged ones: retention goes by that then.
void warn_of_lost_restores(Environment& environment)
{
    repo::Unreadable unreadable;
    book_of(environment).load(&unreadable);
    warn_of_unreadable(environment, unreadable);
    if (!unreadable.empty())
        environment.progress().warn(
            "what only that book says of restores is lost when this command writes it anew: look "
            "at `tidemark list restores`, and say the same `tidemark restore --only` again now on "
            "each host whose copy is missing; the next expire goes by it");
}

int forget(Environment& environment)
{
    const auto& id = environment.options().forget;
    std::string_view digits = id;
    if (digits.starts_with("restore-")) digits.remove_prefix(8);
    model::Number number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size())
        throw Error{Code::usage, "--forget needs restore-N, not " + id};
    warn_of_lost_restores(environment);
    auto book = book_of(environment);
    if (!book.forget(number, environment.clock().now()))
        throw Error{Code::usage,
                    "there is no unfinished " + model::restore_id(number),
                    {.hint = "`tidemark list restores` shows which there are"}};
    environment.output().text(model::restore_id(number) +
                              " is ended; its copies stay where they are, and none of them can be "
                              "opened: `tidemark restore --discard` removes one\n");
    return code_of(environment, false);
}

/// The mark of the restore that the copies here belong to, when it is still open.
std::optional<model::Number> mark_here(Environment& environment, const job::RestoreOptions& options)
{
    auto open = book_of(environment).open();
    for (const auto& [name, state] : job::joint_members(options, environment.options().only)) {
        for (const auto& restore : open)
            if (restore.number == state.joint && restore.mark == state.mark) return restore.mark;
    }
    return std::nullopt;
}

repo::RestorePlan plan_for(const repo::RepositoryView& view, model::Number mark,
                           const std::vector<std::string>& members)
{
    return repo::need_plan(repo::plan_restore(view, mark, {.members = members}));
}

int to_mark(Environment& environment)
{
    const auto& asked = environment.options();
    auto options = restore_setup(environment);
    if (options.dir.empty() && options.map.size() < asked.only.size())
        throw Error{Code::usage, "restore --only needs --dir DIR, or --map for every member"};
    auto view = environment.view();
    for (const auto& name : asked.only)
        if (!view.members.contains(name))
            throw Error{Code::usage, "--only names " + name + ", which is no member"};
    auto selector = repo::parse_mark_selector(asked.to);
    if (selector.kind == repo::MarkSelector::Kind::time)
        throw Error{Code::usage,
                    "a restore over several hosts goes to a mark, not to a time",
                    {.hint = fmt::format("make one of that moment first: tidemark mark --at '{}' "
                                         "--name MOMENT, then --to MOMENT",
                                         asked.to)}};
    job::JointOptions joint{.instead = asked.instead, .program = version_text()};
    joint.newest = selector.kind == repo::MarkSelector::Kind::latest;
    std::optional<model::Number> number;
    if (joint.newest) number = mark_here(environment, options);
    if (number) joint.newest = false;
    // All of the group can get there, or none of it goes.
    const bool goes_on = number.has_value();
    if (!goes_on) number = planned_restore(environment, view).mark->number();
    auto plan = plan_for(view, *number, asked.only);
    if (!goes_on)
        for (auto& sentence : passed_over(environment, view, *number))
            plan.warnings.push_back(std::move(sentence));
    for (const auto& name : asked.only)
        if (!plan.members.contains(name))
            throw Error{Code::usage, fmt::format("{} has no part in {}", name,
                                                 repo::mark_id(plan.mark->number()))};
    job::keep_backups(view, options, plan);
    environment.output().document()["plan"] = plan_json(plan, options);
    if (asked.plan) {
        options.joint.emplace(); // held against what stands in its way
        return show_restore_plan(environment, plan, options);
    }
    warn_of_lost_restores(environment);
    auto outcome = job::restore_to_mark(environment.context(), plan, options, joint);
    auto& output = environment.output();
    for (const auto& member : outcome.report.members)
        output.text(fmt::format("{} stands at {} in {}, closed\n  {}\n", member.name,
                                model::format_position(member.reached), member.data_dir.string(),
                                member.evidence));
    for (const auto& warning : outcome.report.warnings)
        environment.progress().warn(warning);
    tell(environment, outcome.restore);
    return code_of(environment, false);
}

/// The last host to open has the whole group's proof in hand.
void prove_jointly(Environment& environment, const repo::RepositoryView& view,
                   const repo::StoredMark& mark, const job::JointOutcome& outcome)
{
    for (const auto& [name, report] : outcome.restore.reports)
        if (report.damaged) return;
    try {
        prove(environment, plan_for(view, mark.number(), {}),
              job::joint_report(outcome.restore, mark, outcome.report));
    } catch (const Error& error) {
        environment.progress().note("not recorded as proven: " + std::string(error.what()));
    }
}

int tell_opened(Environment& environment, const JointRestore& restore, std::size_t kept)
{
    environment.output().text("all members here were opened before\n");
    if (kept > 0)
        environment.progress().warn(fmt::format(
            "{} transactions were kept prepared: name them in a file as the report shows and add "
            "--decisions FILE, or settle them with COMMIT PREPARED",
            kept));
    tell(environment, restore);
    return code_of(environment, kept > 0);
}

/// Of copies that are open all of them: words that change nothing are held against what was done.
void require_decisions(Environment& environment, const job::RestoreOptions& options,
                       const std::map<std::string, job::RestoreState>& here)
{
    if (options.decisions.empty()) return;
    std::vector<std::string> names;
    for (const auto& [name, state] : here)
        names.push_back(name);
    job::check_decisions(environment.context(),
                         plan_for(environment.view(), here.begin()->second.mark, names), options);
}

int open(Environment& environment)
{
    const auto& asked = environment.options();
    auto options = restore_setup(environment);
    auto here = job::joint_members(options, asked.only);
    if (here.empty())
        throw Error{Code::usage,
                    fmt::format("{} holds no member that --only has brought to a mark",
                                options.dir.empty() ? "what --map names" : options.dir.string()),
                    {.hint = "first: tidemark restore --only MEMBER --dir DIR; check --dir and "
                             "--map"}};
    const auto& first = here.begin()->second;
    for (const auto& [name, state] : here) {
        if (state.joint != first.joint || state.group != environment.group().name ||
            state.repository != environment.repository().head().id)
            throw Error{Code::usage,
                        fmt::format("{} belongs to {} of group {}, {} to {} of group {}", name,
                                    model::restore_id(state.joint), state.group, first.member,
                                    model::restore_id(first.joint), first.group),
                        {.hint = "say with --only which to open, and name repository and group"}};
    }
    auto context = environment.context();
    if (asked.plan) {
        auto book = book_of(environment).load();
        if (auto* restore = book.find(first.joint)) tell(environment, *restore);
        environment.output().text("nothing was written; run again without --plan to do it\n");
        return 0;
    }
    warn_of_lost_restores(environment);
    auto restore = job::confirm_opened(context, here);
    std::vector<std::string> closed;
    for (const auto& [name, state] : here)
        if (state.phase != job::RestorePhase::handed_over) closed.push_back(name);
    if (closed.empty()) {
        require_decisions(environment, options, here);
        auto kept = job::kept_here(here, options, restore);
        if (kept.decided == 0) return tell_opened(environment, restore, kept.kept);
        // The operator has come to know what to do about what was kept.
        for (const auto& [name, state] : here)
            closed.push_back(name);
    }
    auto view = environment.view();
    auto plan = plan_for(view, first.mark, closed);
    job::keep_backups(view, options, plan);
    environment.output().document()["plan"] = plan_json(plan, options);
    keep_report_beside(options);
    auto outcome = job::open_members(context, plan, options, {.program = version_text()});
    finish_restore(environment, options, outcome.report);
    if (outcome.is_last) prove_jointly(environment, view, *plan.mark, outcome);
    tell(environment, outcome.restore);
    return code_of(environment, outcome.report.unsettled);
}

} // namespace

int run_joint_restore(Environment& environment)
{
    const auto& asked = environment.options();
    if (!asked.forget.empty()) return forget(environment);
    if (asked.open && (asked.alone || asked.instead || asked.discard))
        throw Error{Code::usage, "--open goes with none of --alone, --instead, --discard"};
    if (asked.open) return open(environment);
    if (asked.only.empty() || asked.alone || asked.discard)
        throw Error{Code::usage, "--instead needs --only MEMBER, without --alone and --discard"};
    for (bool late : {asked.start, asked.as_production, asked.decisions.has_value()})
        if (late)
            throw Error{Code::usage,
                        "--start, --as-production and --decisions belong to --open: --only stops "
                        "at the mark, closed"};
    return to_mark(environment);
}

void list_restores(Environment& environment)
{
    repo::Unreadable unreadable;
    auto book = book_of(environment).load(&unreadable);
    warn_of_unreadable(environment, unreadable);
    auto& list = environment.output().document()["restores"] = json::array();
    Table table({"RESTORE", "MARK", "BEGUN", "HOST", "STATE", "WAITS FOR"});
    for (auto at = book.restores.rbegin(); at != book.restores.rend(); ++at) {
        list.push_back(restore_json(*at));
        auto missing = at->is_open() ? at->missing() : std::vector<std::string>{};
        table.row({model::restore_id(at->number), repo::mark_id(at->mark),
                   base::format_time_human(at->begun), at->host, state_of(*at),
                   missing.empty() ? "-" : fmt::format("{}", fmt::join(missing, ", "))});
    }
    environment.output().text(table.render());
}

} // namespace tidemark::app
