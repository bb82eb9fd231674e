#include "engine/postgres/trial_start.h"

#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/conf_file.h"
#include "engine/postgres/full_disk.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <thread>
#include <utility>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Error;

constexpr auto kTrialPatience = 10min;
constexpr std::size_t kMaxLog = 16U << 20;
constexpr std::size_t kShownLines = 5;
constexpr int kStatusLine = 8;

/// The last line of postmaster.pid: "starting", "ready", "stopping".
bool is_ready(const fs::path& data_dir)
{
    std::ifstream file(data_dir / "postmaster.pid");
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        if (number == kStatusLine) return line.starts_with("ready");
    }
    return false;
}

/// Error{failed}, whoever is to blame.
Error does_not_start(const std::string& said, const fs::path& log)
{
    return {
        Code::failed,
        fmt::format("the server does not start under the configuration of production: {}", said),
        {.hint = "nothing was opened; mend what it names on this host, or in the data "
                 "directory's files below their first line, and run the same command again, or "
                 "leave --as-production out; its log is " +
                 log.native()}};
}

} // namespace

std::string complaints(std::string_view text, std::uint64_t from)
{
    text.remove_prefix(std::min<std::size_t>(from, text.size()));
    std::vector<std::string> all, bad;
    for (const auto& line : split_lines(text)) {
        if (line.empty()) continue;
        all.emplace_back(line);
        for (const char* level : {"FATAL: ", "PANIC: ", "ERROR: ", "HINT: ", "DETAIL: "})
            if (line.find(level) != line.npos) bad.emplace_back(line);
    }
    if (bad.empty()) bad = all;
    std::string out;
    for (std::size_t i = bad.size() > kShownLines ? bad.size() - kShownLines : 0; i < bad.size();
         ++i)
        out += (out.empty() ? "" : "; ") + bad[i];
    return out;
}

void try_configuration(const ServerLaunch& plain, const TargetFolder& work,
                       const ServerSetup& setup, std::stop_token stop)
{
    // A file of our own name, so that a later run knows the server for ours should we be killed.
    work.write(kTrialConfig,
               fmt::format("# Written by tidemark: tries what the server is handed over with.\n"
                           "include {}\n",
                           quote_conf_value(plain.config_file.native())));
    auto launch = plain;
    launch.config_file = work.path() / kTrialConfig;
    launch.log_file = work.path() / "trial.log";
    launch.settings = {"listen_addresses=",
                       "unix_socket_directories=" + setup.socket_dir.native(),
                       "unix_socket_permissions=0700",
                       "unix_socket_group=",
                       fmt::format("port={}", setup.port),
                       "external_pid_file=",
                       "archive_command=",
                       "max_worker_processes=0",
                       "max_logical_replication_workers=0",
                       "autovacuum=off",
                       "restart_after_crash=off",
                       "logging_collector=off",
                       "log_destination=stderr",
                       "lc_messages=C"};
    if (setup.major >= 15) launch.settings.emplace_back("archive_library=");
    // People may have mended it to lead to where production's own server writes.
    if (setup.major < 15) launch.settings.emplace_back("stats_temp_directory=pg_stat_tmp");
    ServerProcess server(launch);
    server.start();
    auto deadline = std::chrono::steady_clock::now() + kTrialPatience;
    while (!is_ready(launch.data_dir)) {
        bool late = std::chrono::steady_clock::now() > deadline;
        if (stop.stop_requested() || late || !server.running()) {
            server.stop();
            if (stop.stop_requested()) throw Error{Code::cancelled, "the restore was stopped"};
            auto why =
                does_not_start(complaints(base::as_text(base::read_file(launch.log_file, kMaxLog)),
                                          server.log_start()),
                               launch.log_file);
            auto full =
                out_of_space_instead(why, {launch.data_dir, work.path()}, setup.wal_segment_size);
            if (full) throw Error(std::move(*full));
            throw Error{Code::member_not_ready, why.message(), {.hint = why.hint()}};
        }
        std::this_thread::sleep_for(20ms);
    }
    server.stop();
}

} // namespace tidemark::engine::postgres
