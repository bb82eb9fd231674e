#include "app/cli/unrecorded.h"

#include "base/log.h"
#include "job/status.h"
#include "repo/run_memory.h"

namespace tidemark::app {

namespace {

repo::RunMemory run_memory(Environment& environment, const std::filesystem::path& folder)
{
    return {folder, environment.place_name(), environment.group().name};
}

} // namespace

void keep_unrecorded(Environment& environment, model::Run run, const std::filesystem::path& folder)
{
    if (!job::counts_as_failed(run)) return;
    try {
        if (folder.empty())
            throw base::Error{base::Code::failed,
                              "it has no folder for that: XDG_STATE_HOME or HOME must name one"};
        run.warnings.clear(); // they were told, and may be many
        run_memory(environment, folder).remember(run);
    } catch (const std::exception& error) {
        base::log_warning("nor can this host remember it, so tidemark status will not tell: {}",
                          error.what());
    }
}

void forget_unrecorded(Environment& environment, const model::Run& run,
                       const std::filesystem::path& folder)
{
    if (folder.empty()) return;
    try {
        auto memory = run_memory(environment, folder);
        if (auto failed = memory.failed(); failed && job::makes_good(run, failed->command))
            memory.forget();
    } catch (const std::exception& error) {
        base::log_debug("what this host remembers of a failed run: {}", error.what());
    }
}

std::optional<model::Run> unrecorded_run(Environment& environment,
                                         const std::filesystem::path& folder)
{
    if (folder.empty()) return std::nullopt;
    try {
        return run_memory(environment, folder).failed();
    } catch (const std::exception& error) {
        base::log_debug("what this host remembers of a failed run: {}", error.what());
        return std::nullopt;
    }
}

} // namespace tidemark::app
