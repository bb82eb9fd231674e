#include "app/cli/commands.h"
#include "app/cli/drill_report.h"
#include "app/cli/restore_setup.h"
#include "app/cli/sheet.h"
#include "app/cli/table.h"
#include "base/fd.h"
#include "job/drill.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxAssertions = 16U << 20;

/// Beside the repository, where room for data is: --dir says otherwise.
fs::path scratch_parent(Environment& environment)
{
    if (!environment.options().dir.empty()) return environment.options().dir;
    auto url = environment.repository_spec().url;
    auto path = fs::absolute(url.starts_with("file://") ? url.substr(7) : url).lexically_normal();
    if (path.filename().empty()) path = path.parent_path(); // it ended with a slash
    return path.parent_path();
}

std::vector<job::Assertion> read_assertions(Environment& environment, const repo::RestorePlan& plan)
{
    const auto& file = environment.options().assertions;
    if (!file) return {};
    std::vector<std::string> members;
    for (const auto& [name, member] : plan.members)
        members.push_back(name);
    auto text = base::read_file(*file, kMaxAssertions);
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

} // namespace

int run_drill(Environment& environment)
{
    const auto& options = environment.options();
    require_writable(options.report);
    return recorded_run(environment, [&](model::Run& run) {
        auto plan = planned_restore(environment, environment.view());
        job::DrillOptions drill{.restore = restore_setup(environment),
                                .parent = scratch_parent(environment),
                                .assertions = read_assertions(environment, plan),
                                .keep = options.keep_scratch};
        run.mark = plan.mark->number();
        auto outcome = job::drill_group(environment.context(), plan, drill);
        auto& output = environment.output();
        output.text(drill_text(outcome.report, outcome.number));
        output.document()["drill"] = drill_json(outcome.report, outcome.number);
        if (outcome.kept) {
            output.text("kept in " + outcome.kept->string() + "\n");
            output.document()["kept"] = outcome.kept->string();
        }
        if (options.report)
            write_drill_report(fs::absolute(*options.report), outcome.report, outcome.number);
        refresh_sheet(environment);
        return static_cast<int>(result_code(outcome));
    });
}

} // namespace tidemark::app
