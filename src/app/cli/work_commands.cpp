#include "app/cli/commands.h"
#include "app/cli/decision_tables.h"
#include "app/cli/describe.h"
#include "app/cli/table.h"
#include "job/backup.h"
#include "job/mark.h"
#include "job/moment.h"
#include "job/reindex.h"
#include "job/run.h"
#include "model/ids.h"
#include "model/lost.h"
#include "repo/backups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

void describe_mark(Environment& environment, const job::MarkOutcome& outcome)
{
    auto& output = environment.output();
    const auto& mark = outcome.mark;
    output.text(fmt::format("mark {} placed on {} members: spread {:.1f} ms, {} in doubt; set s-{} "
                            "is complete, {} of log\n",
                            mark_title(mark), mark.value.members.size(),
                            static_cast<double>(mark.value.spread.count()) / 1000,
                            mark.value.at.in_doubt.size(), outcome.set.number(),
                            base::format_size(outcome.log_bytes)));
    auto& document = output.document();
    document["mark"] = mark_summary(mark);
    document["set"] = fmt::format("s-{}", outcome.set.number());
    document["log_bytes"] = outcome.log_bytes;
    document["durable_us"] = outcome.to_durable.count();
    environment.remember(mark.number(), outcome.set.number());
}

/// To the mark command it is all one why a member cannot be reached: no mark was placed.
job::MarkOutcome place_mark(Environment& environment)
{
    try {
        return job::place_mark(environment.context(), {.name = environment.options().mark_name});
    } catch (const Error& error) {
        if (error.code() != Code::member_unreachable || !error.transient()) throw;
        throw Error{Code::mark_not_placed,
                    std::string("no mark was placed: ") + error.what(),
                    {.hint = error.hint(), .transient = true}};
    }
}

/// Things in a mark that an operator should read.
void warn_of_mark(Environment& environment, const model::Mark& mark)
{
    if (mark.flags.heuristic_damage)
        environment.progress().warn(
            "heuristic damage in production: a transaction is committed at one member and rolled "
            "back at another; tidemark show lists it");
    for (const auto& lost : mark.at.lost)
        environment.progress().warn(model::lost_sentence(lost));
    for (const auto& violation : mark.violations) {
        if (violation.kind == model::ViolationKind::log_unread)
            environment.progress().warn(fmt::format("not proven at {}: log from {} to {} could not "
                                                    "be read, so what was prepared before "
                                                    "may be undecided",
                                                    violation.member,
                                                    model::format_offset(violation.cut),
                                                    model::format_offset(violation.bound)));
        else
            environment.progress().warn(fmt::format(
                "{} at {}: a coordinator seems to commit before all have prepared ({})",
                model::violation_name(violation.kind), violation.member, violation.global_id));
    }
}

} // namespace

void require_configuration(Environment& environment)
{
    if (environment.configured()) return;
    const auto& options = environment.options();
    const auto* known = environment.config();
    std::string hint = "name one with --config FILE, or make one with tidemark init";
    if (known != nullptr && !options.repository.empty())
        hint = fmt::format("{} does not name the repository {}, so its groups are not those of "
                           "that one: leave --repo out to work with them",
                           known->path.string(), options.repository);
    throw Error{Code::usage,
                options.command + " talks to the members and needs a configuration",
                {.hint = std::move(hint)}};
}

void warn_of_damage(Environment& environment, const model::Manifest& manifest)
{
    constexpr std::size_t kMostLines = 20;
    std::size_t lines = 0;
    for (const auto& page : manifest.damaged) {
        if (++lines > kMostLines) break;
        environment.progress().warn(
            fmt::format("{}: {} block {}: {}", manifest.member, page.path, page.block, page.why));
    }
    if (manifest.damaged_pages() > kMostLines)
        environment.progress().warn(fmt::format(
            "{}: {} pages are damaged in all; tidemark list backups names the backup, tidemark "
            "show names the pages",
            manifest.member, manifest.damaged_pages()));
}

int run_backup(Environment& environment)
{
    require_configuration(environment);
    if (!environment.options().mark_name.empty())
        model::checked_mark_name(environment.options().mark_name);
    return recorded_run(environment, [&](model::Run& run) {
        auto outcome = job::back_up_group(environment.context(),
                                          {.mark_name = environment.options().mark_name});
        run.set = outcome.closing.set.number();
        run.mark = outcome.closing.mark.number();
        Table table({"MEMBER", "BACKUP", "FILES", "SIZE", "STORED", "PAGES VERIFIED", "TOOK"});
        auto& list = environment.output().document()["members"] = json::array();
        for (const auto& member : outcome.members) {
            const auto& totals = member.manifest.value.totals;
            table.row({member.name, fmt::format("b-{}", member.manifest.number()),
                       std::to_string(totals.files), base::format_size(totals.file_bytes),
                       base::format_size(totals.stored_bytes),
                       std::to_string(totals.pages_verified), base::format_duration(member.took)});
            json damaged = json::array();
            for (const auto& page : member.manifest.value.damaged)
                damaged.push_back({{"path", page.path}, {"block", page.block}, {"why", page.why}});
            warn_of_damage(environment, member.manifest.value);
            list.push_back({{"name", member.name},
                            {"backup", fmt::format("b-{}", member.manifest.number())},
                            {"files", totals.files},
                            {"file_bytes", totals.file_bytes},
                            {"stored_bytes", totals.stored_bytes},
                            {"pages_verified", totals.pages_verified},
                            {"pages_reread", totals.pages_reread},
                            {"took_us", member.took.count()},
                            {"damaged", damaged},
                            {"pages_damaged", member.manifest.value.damaged_pages()},
                            {"new_chain", member.new_chain},
                            {"over_wire", member.manifest.value.over_wire}});
        }
        environment.output().text(table.render());
        describe_mark(environment, outcome.closing);
        warn_of_mark(environment, outcome.closing.mark.value);
        note_commits_to_ask_for(environment, outcome.closing.mark.value);
        if (outcome.damaged)
            environment.progress().warn("the backup is marked damaged: pages above have wrong "
                                        "checksums in the database itself");
        warn_of_decision_tables(environment);
        return environment.done();
    });
}

namespace {

/// Needs the repository only: the members may be gone.
int mark_moment(Environment& environment)
{
    auto at = base::parse_time(environment.options().at);
    if (!at)
        throw Error{Code::usage,
                    "--at needs a time, not '" + environment.options().at + "'",
                    {.hint = "such as 2026-11-22T14:30:00Z or '2026-11-22 15:30:00 +01:00'"}};
    return recorded_run(environment, [&](model::Run& run) {
        auto view = environment.view();
        auto moment = job::find_moment(environment.context(), view, *at);
        auto mark =
            job::record_moment(environment.context(), moment, environment.options().mark_name);
        run.mark = mark.number();
        environment.output().text(
            fmt::format("mark {} recorded\n{}", mark_title(mark), moment_text(moment)));
        environment.output().document()["mark"] = mark_summary(mark);
        environment.output().document()["moment"] = moment_json(moment);
        return environment.done();
    });
}

/// Such a mark is placed, and nothing leads to it.
void warn_without_backups(Environment& environment)
{
    const auto& group = environment.group();
    std::vector<std::string> without;
    for (const auto& member : group.members) {
        repo::Backups backups(environment.repository().storage(),
                              {.group = group.name, .member = member.name});
        if (backups.numbers().empty()) without.push_back(member.name);
    }
    if (without.empty()) return;
    environment.progress().warn(
        fmt::format("this mark cannot be restored: there is no base backup yet of {}; tidemark "
                    "backup takes one and ends with a mark that can",
                    fmt::join(without, ", ")));
}

} // namespace

int run_mark(Environment& environment)
{
    if (!environment.options().at.empty()) return mark_moment(environment);
    require_configuration(environment);
    if (!environment.options().mark_name.empty())
        model::checked_mark_name(environment.options().mark_name);
    return recorded_run(environment, [&](model::Run& run) {
        auto outcome = place_mark(environment);
        run.set = outcome.set.number();
        run.mark = outcome.mark.number();
        describe_mark(environment, outcome);
        warn_of_mark(environment, outcome.mark.value);
        note_commits_to_ask_for(environment, outcome.mark.value);
        warn_without_backups(environment);
        return environment.done();
    });
}

int run_log(Environment& environment)
{
    require_configuration(environment);
    return recorded_run(environment, [&](model::Run&) {
        auto outcome = job::back_up_log_of_all(environment.context());
        Table table({"MEMBER", "LOG STORED TO", "NEW", "PIECES"});
        auto& list = environment.output().document()["members"] = json::array();
        for (const auto& member : outcome.members) {
            table.row({member.name, model::format_position(member.end),
                       base::format_size(member.bytes), std::to_string(member.pieces)});
            list.push_back({{"name", member.name},
                            {"end", model::format_position(member.end)},
                            {"bytes", member.bytes},
                            {"pieces", member.pieces}});
        }
        environment.output().text(table.render());
        return environment.done();
    });
}

int run_reindex(Environment& environment)
{
    auto report = job::reindex(environment.context());
    environment.output().text(
        fmt::format("{} pieces, {} indexes rebuilt\n", report.pieces, report.rebuilt));
    environment.output().document()["pieces"] = report.pieces;
    environment.output().document()["rebuilt"] = report.rebuilt;
    environment.output().document()["problems"] = report.problems;
    for (const auto& problem : report.problems)
        environment.progress().warn(problem);
    return environment.done();
}

} // namespace tidemark::app
