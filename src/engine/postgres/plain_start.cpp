#include "engine/postgres/plain_start.h"

#include "base/error.h"
#include "engine/postgres/start_command.h"
#include "engine/postgres/trial_start.h"

#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

} // namespace

PidFile start_plainly(const ServerLaunch& launch, const TargetFolder& data)
{
    auto options = server_process_options(launch);
    options.new_session = true;
    const auto log = launch.data_dir / "server.log";
    std::error_code none;
    auto before = fs::file_size(log, none);
    if (none) before = 0;
    const bool within = pg_ctl_misreads(launch.data_dir);
    if (within) options.directory = launch.data_dir;
    auto started =
        base::run({launch.bin_dir / "pg_ctl", "-D", within ? fs::path(".") : launch.data_dir, "-l",
                   within ? fs::path("server.log") : log, "-w", "-t", "600", "start"},
                  {.process = options});
    if (!started.exit.success()) {
        // pg_ctl only says where to look.
        auto said = complaints(data.read("server.log").value_or(""), before);
        throw Error{
            Code::failed,
            fmt::format("the handed-over server does not start: {}",
                        said.empty() ? started.out + started.err : said),
            {.hint = "mend what it names, then run the same command again (as production with what "
                     "you change in the data directory's files below their first line; in "
                     "quarantine these are written anew); its log is " +
                     log.native()}};
    }
    return read_pid_file(launch.data_dir);
}

} // namespace tidemark::engine::postgres
