#include "engine/postgres/recovery_run.h"

#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/full_disk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <thread>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Error;

/// Reads what was added to a log file since the last call.
class Follower {
public:
    Follower(fs::path path, std::uint64_t from, std::uint32_t segment_size)
        : log(segment_size), path_(std::move(path)), at_(from)
    {
    }

    void read()
    {
        if (!file_) file_ = base::open_read(path_);
        base::Bytes buffer(1U << 16);
        while (true) {
            auto got = base::pread_full(file_.get(), buffer, at_, path_.native());
            if (got == 0) return;
            at_ += got;
            log.feed(base::as_text(base::ByteView(buffer).first(got)));
        }
    }

    RecoveryLog log;

private:
    fs::path path_;
    std::uint64_t at_;
    base::Fd file_;
};

/// A server that was killed leaves its shared memory until its last child is gone; one that an
/// earlier run started just before its own end may take the lock before us.
bool killed_one_lingers(const RecoveryLog& log)
{
    for (const auto& problem : log.problems()) {
        if (problem.find("pre-existing shared memory block") != std::string::npos ||
            problem.find("lock file \"postmaster.pid\" already exists") != std::string::npos) {
            return true;
        }
    }
    return false;
}

/// As the server tells it. Where the disk is full, on which its log lies too, it may have told
/// nothing.
Error failed_recovery(const RecoveryRun& run, const RecoveryGoal& goal, const fs::path& log_file,
                      std::uint32_t wal_segment_size)
{
    auto error = recovery_error(run.log, goal, run.exit, log_file.native());
    auto full = out_of_space_instead(error, {log_file.parent_path()}, wal_segment_size);
    return full ? *full : error;
}

/// A record never begins inside a page's header: a goal at a page's start means the record behind
/// the header.
bool same_record(model::Offset goal, model::Offset start, const ControlFile& control)
{
    if (start == goal) return true;
    if (goal % control.wal_page_size != 0) return false;
    auto header = goal % control.wal_segment_size == 0 ? 40U : 24U;
    return start == goal + header;
}

} // namespace

RecoveryRun run_recovery(ServerProcess& process, const fs::path& log_file,
                         std::uint32_t wal_segment_size,
                         const std::function<void(model::Offset)>& progress, std::stop_token stop)
{
    auto patience = std::chrono::steady_clock::now() + 30s;
    while (true) {
        process.start();
        Follower follower{log_file, process.log_start(), wal_segment_size};
        std::optional<base::Exit> exit;
        model::Offset told = 0;
        while (!exit && !stop.stop_requested()) {
            exit = process.wait_for(100ms, stop);
            follower.read();
            if (progress && follower.log.replayed() > told) {
                told = follower.log.replayed();
                progress(told);
            }
        }
        if (!exit) {
            process.stop();
            throw Error{Code::cancelled, "the restore was stopped"};
        }
        if (exit->success() || !killed_one_lingers(follower.log) ||
            std::chrono::steady_clock::now() > patience) {
            return {*exit, std::move(follower.log)};
        }
        std::this_thread::sleep_for(500ms);
    }
}

Reached judge_recovery(const RecoveryRun& run, const RecoveryGoal& goal, const ControlFile& control,
                       const std::string& log_file)
{
    const auto& log = run.log;
    if (!run.exit.success() || !log.stop_line() || !log.shut_down_at_target() ||
        control.state != ClusterState::shut_down_in_recovery) {
        throw failed_recovery(run, goal, log_file, control.wal_segment_size);
    }
    auto evidence = fmt::format("{}; pg_control: {}, minimum recovery ending location {}",
                                *log.stop_line(), cluster_state_name(control.state),
                                model::format_position(control.min_recovery));
    model::LogPosition position{goal.epoch, control.min_recovery.offset};
    if (goal.position) {
        bool exact = log.stopped_at() && same_record(*goal.position, *log.stopped_at(), control) &&
                     control.min_recovery.offset <= *goal.position;
        if (!exact) {
            throw Error{Code::point_not_reachable,
                        fmt::format("recovery ended elsewhere than at {}: {}",
                                    model::format_offset(*goal.position), evidence),
                        {.hint = "the goal is no record's start in this log: run `tidemark audit` "
                                 "on the mark"}};
        }
        position.offset = *goal.position;
    }
    return {position, std::move(evidence)};
}

void promote_server(ServerProcess& process, const RestoredServer& server, const fs::path& log_file,
                    std::uint32_t wal_segment_size, const RecoveryGoal& goal, std::stop_token stop)
{
    auto patience = std::chrono::steady_clock::now() + 30s;
    while (true) {
        process.start();
        bool open = false;
        try {
            open = server.wait_until_open([&] { return process.running(); }, stop);
        } catch (const SqlError& error) {
            // Open, but not to us: the caller knows what to do.
            if (!is_shut_out(error)) throw;
            open = true;
        }
        if (open) return;
        Follower follower{log_file, process.log_start(), wal_segment_size};
        follower.read();
        auto exit = process.wait_for(0s, {}).value_or(base::Exit{});
        if (!killed_one_lingers(follower.log) || std::chrono::steady_clock::now() > patience) {
            throw failed_recovery({exit, std::move(follower.log)}, goal, log_file,
                                  wal_segment_size);
        }
        std::this_thread::sleep_for(500ms);
    }
}

void wait_for_promoted(ServerProcess& process, const RestoredServer& server,
                       const fs::path& log_file, std::stop_token stop)
{
    auto patience = std::chrono::steady_clock::now() + 30s;
    while (!server.wait_until_open([&] { return process.running(); }, stop)) {
        Follower follower{log_file, process.log_start(), 0}; // no segment is looked for
        std::error_code none;
        // Not of one that another run of ours started.
        if (fs::exists(log_file, none)) follower.read();
        if (!killed_one_lingers(follower.log) || std::chrono::steady_clock::now() > patience) {
            const auto& problems = follower.log.problems();
            throw Error{Code::failed,
                        fmt::format("the promoted server ended by itself{}{}",
                                    problems.empty() ? "" : ": ", fmt::join(problems, "; ")),
                        {.hint = "its log is " + log_file.native()}};
        }
        std::this_thread::sleep_for(500ms);
        process.start();
    }
}

model::Epoch control_epoch(const RestoredServer& server)
{
    auto rows = server.connect().exec("SELECT pg_catalog.pg_walfile_name("
                                      "pg_catalog.pg_current_wal_insert_lsn())");
    // The first eight digits of a segment's name are its timeline.
    auto name = rows.get(0, 0);
    model::Epoch epoch = 0;
    for (char c : name.substr(0, 8)) {
        epoch = epoch * 16 + static_cast<model::Epoch>(c <= '9' ? c - '0' : c - 'A' + 10);
    }
    return epoch;
}

} // namespace tidemark::engine::postgres
