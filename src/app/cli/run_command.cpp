#include "app/cli/commands.h"
#include "app/cli/decision_tables.h"
#include "app/cli/describe.h"
#include "app/cli/guard.h"
#include "app/cli/hooks.h"
#include "app/cli/metrics.h"
#include "app/cli/sheet.h"
#include "app/cli/unrecorded.h"
#include "base/fd.h"
#include "job/expire.h"
#include "job/run.h"
#include "job/status.h"
#include "model/lost.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

void describe_outcome(Environment& environment, const job::RunOutcome& outcome)
{
    const auto& mark = outcome.mark.mark;
    auto& output = environment.output();
    std::string did = outcome.backup ? "full backup" : "mark";
    output.text(fmt::format(
        "{} ({}); mark {}: spread {:.1f} ms, {} in doubt; set s-{} is complete, "
        "{} of log\n",
        did, outcome.decision.why, mark_title(mark),
        static_cast<double>(mark.value.spread.count()) / 1000, mark.value.at.in_doubt.size(),
        outcome.mark.set.number(), base::format_size(outcome.mark.log_bytes)));
    auto& document = output.document();
    document["full"] = outcome.backup.has_value();
    document["why"] = outcome.decision.why;
    document["healed"] = outcome.healed;
    document["mark"] = mark_summary(mark);
    document["set"] = fmt::format("s-{}", outcome.mark.set.number());
    document["log_bytes"] = outcome.mark.log_bytes;
    document["marks_meanwhile"] = outcome.marks_meanwhile;
    environment.remember(mark.number(), outcome.mark.set.number());
}

/// Things that a person should read, besides warnings given on the way.
void warn_of_outcome(Environment& environment, const job::RunOutcome& outcome)
{
    const auto& mark = outcome.mark.mark.value;
    if (mark.flags.heuristic_damage)
        environment.progress().warn(
            "heuristic damage in production: a transaction is committed at "
            "one member and rolled back at another; tidemark show lists it");
    for (const auto& lost : mark.at.lost)
        environment.progress().warn(model::lost_sentence(lost));
    for (const auto& violation : mark.violations)
        environment.progress().warn(fmt::format("{} at {}: {}",
                                                model::violation_name(violation.kind),
                                                violation.member, violation.global_id));
    note_commits_to_ask_for(environment, mark);
    if (!outcome.backup || !outcome.backup->damaged) return;
    for (const auto& member : outcome.backup->members)
        warn_of_damage(environment, member.manifest.value);
}

std::string what_is_there(const std::filesystem::path& file)
{
    try {
        auto bytes = base::read_file(file, 4U << 20);
        return std::string(base::as_text(bytes));
    } catch (const Error&) {
        return {}; // the first time
    }
}

/// Also of a run that failed, and without the repository: a file that stays as it was says that all
/// is well.
void refresh_metrics(Environment& environment, RunGuard& guard, int exit)
{
    const auto& file = environment.options().metrics;
    if (!file) return;
    LastRun run{.exit = exit, .ended = environment.clock().now()};
    std::string text;
    try {
        text = render_metrics(job::read_status(environment.context(), environment.recent_view(),
                                               {.absent = guard.absent().all(),
                                                .unrecorded = unrecorded_run(environment)}),
                              run);
    } catch (const Error& error) {
        environment.progress().note(
            fmt::format("the metrics say that the repository cannot be read: {}", error.what()));
        text = render_outage(environment.group().name, run, what_is_there(*file));
    }
    try {
        write_metrics(*file, text);
    } catch (const Error& error) {
        environment.progress().warn(fmt::format("no metrics: {}", error.what()));
    }
}

/// Afterwards, at most once an hour. What goes wrong here costs room, not backups: a warning.
void retain(Environment& environment, model::Run& run,
            const std::string& before = "the backup is good, but ")
{
    auto& document = environment.output().document()["retention"] = nullptr;
    try {
        auto report = job::expire_when_due(environment.context());
        if (!report) return;
        run.retention = model::RunRetention{.removed = report->removed,
                                            .removed_bytes = report->removed_bytes,
                                            .joined = report->joined,
                                            .waiting = report->waiting};
        document = {{"removed", report->removed},
                    {"removed_bytes", report->removed_bytes},
                    {"joined", report->joined},
                    {"waiting", report->waiting}};
        environment.output().text(fmt::format(
            "retention: {} objects removed ({}), {} named to go; {} small log pieces joined\n",
            report->removed, base::format_size(report->removed_bytes), report->waiting,
            report->joined));
    } catch (const std::exception& error) {
        const auto* known = dynamic_cast<const Error*>(&error);
        if (known != nullptr && known->code() == Code::cancelled) return;
        environment.progress().warn(fmt::format(
            "{}retention failed: {}; tidemark expire tells more", before, error.what()));
    }
}

job::RunOutcome run_guarded(Environment& environment, RunGuard& guard)
{
    guard.tell_earlier();
    guard.watch();
    try {
        auto outcome = job::run_scheduled(environment.context(), guard.absent(), [&](int in_a_row) {
            return guard.relieve_meanwhile(in_a_row);
        });
        guard.remember_clusters();
        return outcome;
    } catch (const std::exception& error) {
        // Another run at work is taking the log; and who was told to stop shall not break chains.
        const auto* known = dynamic_cast<const Error*>(&error);
        bool others = known != nullptr &&
                      (known->code() == Code::lease_held || known->code() == Code::cancelled);
        if (!others) guard.relieve();
        throw;
    }
}

int run_once(Environment& environment, RunGuard& guard)
{
    auto backed_up = [&](model::Run& run) {
        try {
            return run_guarded(environment, guard);
        } catch (const Error& error) {
            // The repository may be what is full, and nothing else makes room in it.
            if (error.code() == Code::out_of_space) retain(environment, run, "");
            throw;
        }
    };
    auto work = [&](model::Run& run) {
        auto outcome = backed_up(run);
        run.set = outcome.mark.set.number();
        run.mark = outcome.mark.mark.number();
        describe_outcome(environment, outcome);
        warn_of_outcome(environment, outcome);
        if (outcome.backup) {
            warn_of_decision_tables(environment);
            refresh_sheet(environment, OldSheet::note);
        } else {
            keep_sheet_right(environment);
        }
        retain(environment, run);
        return static_cast<int>(environment.progress().warnings().empty() ? Code::ok
                                                                          : Code::warnings);
    };
    return recorded_run(environment, work, [&] { guard.recorded(); });
}

} // namespace

int run_run(Environment& environment)
{
    require_configuration(environment);
    environment.group();
    RunGuard guard(environment);
    try {
        int code = run_once(environment, guard);
        tell_of_failure(environment, code, first_warning(environment));
        refresh_metrics(environment, guard, code);
        return code;
    } catch (const Error& error) {
        tell_of_failure(environment, static_cast<int>(error.code()),
                        guard.first_of_all(error.what()));
        refresh_metrics(environment, guard, static_cast<int>(error.code()));
        throw;
    }
}

} // namespace tidemark::app
