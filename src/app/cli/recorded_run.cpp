#include "app/cli/environment.h"
#include "app/cli/unrecorded.h"
#include "base/host.h"
#include "base/log.h"
#include "job/status.h"
#include "repo/open_runs.h"

#include <fmt/format.h>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

/// What the runs before this one left behind when they were killed; and the same trace of this one.
/// A repository that does not answer, or takes nothing, is the work's own matter.
std::unique_ptr<repo::Lease> begin_trace(Environment& environment, const std::string& command)
{
    try {
        auto& storage = environment.repository().storage();
        const auto& group = environment.group().name;
        auto owner = repo::LeaseOwner::this_process(command);
        // A restore is not worse for a backup that was killed.
        if (job::stores_something(command)) {
            for (const auto& run : repo::record_broken_off(storage, group, owner)) {
                auto sentence =
                    fmt::format("run-{} was {}", run.number(), run.value.error->message);
                if (job::stores_something(run.value.command))
                    environment.progress().warn(sentence);
                else
                    environment.progress().note(sentence);
            }
        }
        return repo::leave_trace(storage, group, owner);
    } catch (const Error& error) {
        base::log_debug("this run leaves no trace in the repository: {}", error.what());
        return nullptr;
    }
}

} // namespace

int recorded_run(Environment& environment, const std::function<int(model::Run&)>& work,
                 const std::function<void()>& recorded, const std::filesystem::path& memory)
{
    model::Run run;
    run.group = environment.group().name;
    run.command = environment.options().command;
    run.host = base::host_name();
    run.started = environment.clock().now();
    auto trace = begin_trace(environment, run.command); // ends after the record is there
    auto finish = [&](int code) {
        run.ended = environment.clock().now();
        run.exit_code = code;
        run.warnings = environment.progress().warnings();
        try {
            repo::Runs(environment.repository().storage(), run.group).append(run);
        } catch (const Error& error) {
            base::log_warning("this run could not be recorded in the repository: {}", error.what());
            keep_unrecorded(environment, run, memory);
            return;
        }
        forget_unrecorded(environment, run, memory);
        if (recorded) recorded();
    };
    auto failed = [&](const Error& error) {
        run.error = model::RunError{.code = std::string(base::code_name(error.code())),
                                    .message = error.what(),
                                    .hint = error.hint()};
        finish(static_cast<int>(error.code()));
    };
    try {
        int code = work(run);
        finish(code);
        return code;
    } catch (const Error& error) {
        failed(error);
        throw;
    } catch (const std::exception& error) {
        // Whoever waits for an Error, to tell somebody of it, shall hear of this too.
        Error ours{Code::failed, error.what()};
        failed(ours);
        throw Error(ours);
    }
}

} // namespace tidemark::app
