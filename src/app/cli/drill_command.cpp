#include "app/cli/commands.h"
#include "app/cli/drill_report.h"
#include "app/cli/hooks.h"
#include "app/cli/restore_setup.h"
#include "app/cli/sheet.h"
#include "app/cli/table.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "job/drill.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::app {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxAssertions = 16U << 20;

bool may_write(const fs::path& folder)
{
    return ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

/// Beside the repository, where room for data is, if this user may write there; else where it keeps
/// its own state, else where temporary files live; these first when the servers run as another
/// user, to whom that state is closed. Whatever their room is: a drill that was killed shall be
/// found again by the next one.
fs::path scratch_parent(Environment& environment, const std::string& servers_user)
{
    if (!environment.options().dir.empty()) return environment.options().dir;
    auto url = environment.repository_spec().url;
    auto path = fs::absolute(url.starts_with("file://") ? url.substr(7) : url).lexically_normal();
    if (path.filename().empty()) path = path.parent_path(); // it ended with a slash
    auto beside = path.parent_path();
    if (may_write(beside)) return beside;
    const bool others = !servers_user.empty() && base::lookup_user(servers_user).uid != ::geteuid();
    std::vector<fs::path> places{state_folder(), "/var/tmp", "/tmp"};
    if (others) std::swap(places[0], places[1]);
    std::error_code ignored;
    if (auto state = state_folder(); !state.empty()) fs::create_directories(state, ignored);
    for (const fs::path& other : places) {
        if (other.empty() || !may_write(other)) continue;
        environment.progress().note(fmt::format("{} cannot be written: the drill works in {}",
                                                beside.string(), other.string()));
        return other;
    }
    throw Error{
        Code::member_not_ready,
        fmt::format("there is no folder to drill in: {} cannot be written", beside.string()),
        {.hint = "name one with --dir, with room for all members"}};
}

std::vector<job::Assertion> read_assertions(Environment& environment, const repo::RestorePlan& plan)
{
    const auto& file = environment.options().assertions;
    if (!file) return {};
    std::vector<std::string> members;
    for (const auto& [name, member] : plan.members)
        members.push_back(name);
    base::Bytes text;
    try {
        text = base::read_file(*file, kMaxAssertions);
    } catch (const Error& error) {
        throw Error{Code::usage,
                    fmt::format("the file of --sql cannot be read: {}", error.what()),
                    {.hint = "docs/guide/drill.md shows how the file looks"}};
    }
    auto assertions = job::parse_assertions(base::as_text(text), file->string(), members);
    if (assertions.empty())
        throw Error{Code::usage,
                    file->string() + " holds no statement",
                    {.hint = "docs/guide/drill.md shows how the file looks"}};
    return assertions;
}

/// Refused before the work, not after it.
void require_writable(const std::optional<fs::path>& report)
{
    if (!report) return;
    std::error_code error;
    auto parent = fs::absolute(*report).parent_path();
    if (fs::is_directory(*report, error) || !fs::is_directory(parent, error))
        throw Error{Code::usage,
                    "the report cannot be written to " + report->string(),
                    {.hint = "name a file in a folder that is there"}};
}

Code result_code(const job::DrillOutcome& outcome)
{
    const auto& report = outcome.report;
    if (!report.passed()) return Code::not_restorable;
    auto skipped = report.skipped();
    bool unchecked = std::find(skipped.begin(), skipped.end(), "amcheck") != skipped.end();
    bool eyes = !outcome.number || unchecked || !report.proves() || !report.warnings.empty();
    return eyes ? Code::warnings : Code::ok;
}

/// What a person should hear of it first.
std::string drill_message(Environment& environment, const model::Drill& report)
{
    if (!report.passed()) return drill_failure(report);
    if (auto warning = first_warning(environment); !warning.empty()) return warning;
    return report.warnings.empty() ? drill_verdict(report) : report.warnings.front();
}

int drill_once(Environment& environment, std::string& message)
{
    const auto& options = environment.options();
    require_writable(options.report);
    return recorded_run(environment, [&](model::Run& run) {
        auto plan = planned_restore(environment, environment.view());
        auto setup = restore_setup(environment);
        job::DrillOptions drill{.restore = setup,
                                .parent = scratch_parent(environment, setup.user),
                                .assertions = read_assertions(environment, plan),
                                .keep = options.keep_scratch};
        run.mark = plan.mark->number();
        auto outcome = job::drill_group(environment.context(), plan, drill);
        auto& output = environment.output();
        auto result = result_code(outcome);
        if (!refresh_sheet(environment) && result == Code::ok) result = Code::warnings;
        auto code = static_cast<int>(result);
        // From cron: a mail a week that says nothing new is one that nobody reads.
        bool silent = options.quiet && code == 0;
        if (!silent) output.text(drill_text(outcome.report, outcome.number));
        output.document()["drill"] = drill_json(outcome.report, outcome.number);
        if (outcome.kept) {
            if (!silent) output.text("kept in " + outcome.kept->string() + "\n");
            output.document()["kept"] = outcome.kept->string();
        }
        message = drill_message(environment, outcome.report);
        if (options.report)
            write_drill_report(fs::absolute(*options.report), outcome.report, outcome.number);
        return code;
    });
}

} // namespace

int run_drill(Environment& environment)
{
    std::string message;
    try {
        int code = drill_once(environment, message);
        tell_of_failure(environment, code, message);
        return code;
    } catch (const Error& error) {
        tell_of_failure(environment, static_cast<int>(error.code()), error.what());
        throw;
    }
}

} // namespace tidemark::app
