#include "app/cli/check_parts.h"
#include "app/cli/clock_check.h"
#include "app/cli/commands.h"
#include "app/cli/decision_tables.h"
#include "app/cli/hooks.h"
#include "app/cli/password_check.h"
#include "app/cli/sheet.h"
#include "app/cli/table.h"
#include "app/cli/unrecorded.h"
#include "app/wiring.h"
#include "job/group_log.h"
#include "job/log_checks.h"
#include "job/log_guard.h"
#include "job/membership.h"
#include "job/status.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

/// For all that one member is asked, connecting included; members are asked side by side. A monitor
/// gives its plugins ten seconds.
constexpr std::chrono::seconds kPatience{7};

struct NamedCheck {
    std::string who;
    engine::Check check;
};

/// Who is told of failures must be there before the first one.
std::optional<engine::Check> hook_check(const model::GroupSpec& group)
{
    if (group.on_failure.empty()) return std::nullopt;
    try {
        return fine("on_failure", find_hook(group.on_failure.front()) + " can be run");
    } catch (const Error& error) {
        auto check = failed("on_failure", error.what(),
                            "name a program that the user of the job may run; until then nobody "
                            "is told of a run or drill that fails");
        check.state = engine::CheckState::waiting;
        return check;
    }
}

std::optional<engine::Check> sheet_check(Environment& environment)
{
    auto problem = sheet_problem(environment);
    if (!problem) return std::nullopt;
    auto check = failed("recovery_sheet", *problem + "; full backups do not refresh it",
                        "let the user of the job write in that folder, or store one where it may: "
                        "tidemark sheet --output FILE after each full backup");
    check.state = engine::CheckState::waiting;
    return check;
}

/// A run that failed without a trace in the repository.
std::optional<engine::Check> last_run_check(Environment& environment)
{
    auto run = unrecorded_run(environment);
    if (!run) return std::nullopt;
    std::vector<repo::StoredRun> recorded;
    try {
        recorded = repo::Runs(environment.repository().storage(), environment.group().name)
                       .list(job::kLatestRuns);
    } catch (const Error&) {
        recorded.clear(); // that is another check's finding
    }
    if (!job::not_made_good(run, recorded)) return std::nullopt;
    auto check = failed(
        "last_run",
        fmt::format("tidemark {} failed at {} (exit {}), and the repository could not be told{}",
                    run->command, base::format_time_human(run->ended), run->exit_code,
                    run->error ? ": " + run->error->message : ""),
        "tidemark run; when it works, this goes away");
    check.state = engine::CheckState::waiting;
    return check;
}

std::string state_word(engine::CheckState state)
{
    return state == engine::CheckState::ok        ? "ok"
           : state == engine::CheckState::waiting ? "wait"
                                                  : "FAIL";
}

struct Findings {
    std::vector<NamedCheck> checks;
    std::optional<Code> worst;      ///< of a member or repository that could not be reached
    std::optional<Code> repository; ///< why the repository cannot be used

    std::size_t count(engine::CheckState state) const
    {
        return static_cast<std::size_t>(
            std::count_if(checks.begin(), checks.end(),
                          [&](const NamedCheck& each) { return each.check.state == state; }));
    }
};

/// What is stored of the members. Empty where the repository cannot be read: that is another
/// check's finding.
repo::RepositoryView stored_view(Environment& environment)
{
    try {
        auto load = [&](std::size_t marks) {
            return repo::load_view(environment.repository().storage(), environment.group().name,
                                   {.marks = marks, .sets = repo::SetScope::none, .proofs = false});
        };
        auto view = load(1);
        // Whether they did so together is told by the marks around that.
        const auto& members = environment.group().members;
        bool all = std::ranges::all_of(members, [&](const auto& member) {
            auto stored = view.members.find(member.name);
            return stored == view.members.end() || job::went_back(stored->second);
        });
        return all && members.size() > 1 ? load(0) : view;
    } catch (const Error&) {
        return {};
    }
}

job::OtherMembers other_members(const repo::RepositoryView& view, const model::GroupSpec& group,
                                const std::string& member)
{
    job::OtherMembers out;
    for (const auto& each : group.members) {
        auto stored = view.members.find(each.name);
        if (each.name != member && stored != view.members.end()) out.push_back(&stored->second);
    }
    return out;
}

engine::Check stray(const engine::OwnSlot& slot)
{
    return {.name = "stray_slot",
            .state = engine::CheckState::waiting,
            .cause = fmt::format("the slot {} holds {} of log{}, and no group of this "
                                 "configuration uses it",
                                 slot.name, base::format_size(slot.held_bytes),
                                 slot.active ? ", somebody reads it now" : ""),
            .fix = fmt::format("when no other host's tidemark uses it: SELECT "
                               "pg_drop_replication_slot('{}');",
                               slot.name)};
}

void check_members(Environment& environment, Findings& findings,
                   std::vector<std::optional<base::Duration>>& clocks)
{
    const auto& group = environment.group();
    job::Crew crew(job::member_names(group), environment.stop());
    std::vector<std::vector<engine::Check>> results(crew.size());
    clocks.resize(crew.size());
    std::mutex mutex;
    const auto known = known_slots(environment);
    const auto view = stored_view(environment);
    crew.run([&](std::size_t i, std::stop_token) {
        const auto& member = group.members[i];
        try {
            const auto deadline = std::chrono::steady_clock::now() + kPatience;
            auto config = job::member_config(group, member);
            config.within = kPatience;
            auto session = engine_for(member.url).connect(config);
            results[i] = session->check();
            job::check_held_log(group.log_guard, session->slot(), results[i]);
            for (const auto& slot : job::stray_slots(*session, known))
                results[i].push_back(stray(slot));
            if (auto stored = view.members.find(member.name); stored != view.members.end())
                results[i] = job::check_stored_log(
                    environment.repository().storage(), stored->second, *session,
                    std::move(results[i]), other_members(view, group, member.name), view.marks);
            if (std::ranges::count(results[i], "identity", &engine::Check::name) > 0) {
                std::lock_guard lock(mutex);
                if (!findings.worst) findings.worst = Code::identity_mismatch;
            }
            auto before = environment.clock().now();
            auto theirs = session->clock();
            clocks[i] = theirs - (before + (environment.clock().now() - before) / 2);
            // Last: it may take all the time that is left.
            auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            if (auto check = check_decision_table(group, member, left))
                results[i].push_back(*check);
        } catch (const Error& error) {
            results[i].push_back(failed("reachable", error.what(), error.hint()));
            std::lock_guard lock(mutex);
            if (!findings.worst) findings.worst = error.code();
        }
        if (auto check = password_check(member)) results[i].push_back(*check);
    });
    for (std::size_t i = 0; i < crew.size(); ++i) {
        for (auto& check : results[i])
            findings.checks.push_back({crew.name(i), std::move(check)});
    }
}

Findings find_everything(Environment& environment)
{
    Findings findings;
    std::vector<std::optional<base::Duration>> clocks;
    check_members(environment, findings, clocks);
    if (auto check = compare_clocks(clocks)) findings.checks.push_back({"group", *check});
    for (auto& check : repository_checks(environment, findings.repository))
        findings.checks.push_back({"group", std::move(check)});
    for (const auto& check :
         {hook_check(environment.group()), sheet_check(environment), last_run_check(environment)})
        if (check) findings.checks.push_back({"group", *check});
    if (!findings.worst) findings.worst = findings.repository;
    return findings;
}

void describe(Environment& environment, const Findings& findings)
{
    using engine::CheckState;
    Table table({"STATE", "MEMBER", "CHECK", "CAUSE"});
    auto& list = environment.output().document()["checks"] = json::array();
    for (const auto& [who, check] : findings.checks) {
        table.row({state_word(check.state), who, check.name, check.cause});
        if (!check.fix.empty()) table.row({"", "", "", "fix: " + check.fix});
        list.push_back({{"member", who},
                        {"check", check.name},
                        {"state", check.state == CheckState::ok        ? "ok"
                                  : check.state == CheckState::waiting ? "waiting"
                                                                       : "failed"},
                        {"cause", check.cause},
                        {"fix", check.fix}});
    }
    environment.output().text(table.render());
    environment.output().text(
        fmt::format("{} ok, {} waiting, {} failed\n", findings.count(CheckState::ok),
                    findings.count(CheckState::waiting), findings.count(CheckState::failed)));
    environment.output().document()["failed"] = findings.count(CheckState::failed);
}

/// One line and the exit code of a monitoring plugin (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN), as
/// the Monitoring Plugins' guidelines want it. Checks that wait are for people, not for a pager.
int describe_for_nagios(Environment& environment, const Findings& findings)
{
    std::string problem;
    for (const auto& [who, check] : findings.checks) {
        if (check.state == engine::CheckState::failed && problem.empty())
            problem = fmt::format("{}: {}: {}", who, check.name, check.cause);
    }
    const auto& group = environment.group().name;
    auto answer = [&](int code, const std::string& word, const std::string& text,
                      const std::string& figures) {
        std::string line = fmt::format("TIDEMARK {} - {}: {}", word, group, text);
        std::replace(line.begin(), line.end(), '\n', ' ');
        std::replace(line.begin(), line.end(), '|', '/');
        environment.output().text(line + (figures.empty() ? "" : " | " + figures) + "\n");
        environment.output().document()["nagios"] = code;
        return code;
    };
    auto failures = findings.count(engine::CheckState::failed);
    if (findings.repository) return answer(2, "CRITICAL", problem, "");
    // Who hung once would hang again.
    bool hangs = std::ranges::any_of(findings.checks, [](const NamedCheck& each) {
        return each.check.name == "reachable" && each.check.state == engine::CheckState::failed;
    });
    auto status =
        job::read_status(environment.context(), environment.recent_view(),
                         {.ask_members = !hangs, .unrecorded = unrecorded_run(environment)});
    std::string figures = fmt::format("failed_checks={};;0", failures);
    if (!status.restorable) return answer(2, "CRITICAL", "no mark can be restored", figures);
    auto age = std::chrono::duration_cast<std::chrono::seconds>(status.now -
                                                                status.restorable->value.created);
    figures += fmt::format(" mark_age={}s", age.count());
    for (const auto& member : status.members) {
        if (member.identity)
            figures += fmt::format(" '{}_held'={}B", member.name, member.slot.held_bytes);
    }
    auto restorable = "restorable to " + base::format_time_human(status.restorable->value.created);
    if (failures > 0) return answer(2, "CRITICAL", problem, figures);
    if (status.needs_attention())
        return answer(1, "WARNING", restorable + ", but tidemark status shows something to look at",
                      figures);
    return answer(0, "OK", restorable, figures);
}

} // namespace

namespace {

int look(Environment& environment)
{
    require_configuration(environment);
    auto findings = find_everything(environment);
    if (environment.options().nagios) return describe_for_nagios(environment, findings);
    describe(environment, findings);
    if (findings.count(engine::CheckState::failed) == 0) return 0;
    return static_cast<int>(findings.worst.value_or(Code::member_not_ready));
}

} // namespace

int run_check(Environment& environment)
{
    if (!environment.options().nagios) return look(environment);
    try {
        return look(environment);
    } catch (const Error& error) {
        // A monitor shows the first line of stdout, and would take our own codes for others.
        std::string line = fmt::format("TIDEMARK UNKNOWN - {}", error.what());
        std::replace(line.begin(), line.end(), '\n', ' ');
        std::replace(line.begin(), line.end(), '|', '/');
        environment.output().text(line + "\n");
        environment.output().document()["nagios"] = 3;
        return 3;
    }
}

} // namespace tidemark::app
