#include "engine/postgres/server_process.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/process_state.h"
#include "engine/postgres/preflight.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Error;

constexpr auto kFastPatience = 120s; // a shutdown checkpoint may be long
constexpr auto kImmediatePatience = 15s;
constexpr auto kOrphanPatience = 20s;

/// Its major version, as people write it: "15", "9.6"; absent where no server can be run.
std::optional<std::string> major_of(const fs::path& bin_dir)
{
    if (::access((bin_dir / "postgres").c_str(), X_OK) != 0) return std::nullopt;
    auto result = base::run({bin_dir / "postgres", "--version"}, {.deadline = base::Duration{10s}});
    if (!result.exit.success()) return std::nullopt;
    auto blank = result.out.find(") ");
    if (blank == std::string::npos) return std::nullopt;
    constexpr std::string_view kDigits = "0123456789";
    auto version = result.out.substr(blank + 2);
    auto end = std::min(version.find_first_not_of(kDigits), version.size());
    // Up to 9.6 it was two numbers.
    if (end == 1 && version.substr(end).starts_with('.'))
        end = std::min(version.find_first_not_of(kDigits, end + 1), version.size());
    if (end == 0) return std::nullopt;
    return version.substr(0, end);
}

std::vector<fs::path> candidates(const std::string& major)
{
    std::vector<fs::path> folders = {
        fmt::format("/usr/lib/postgresql/{}/bin", major), fmt::format("/usr/pgsql-{}/bin", major),
        fmt::format("/usr/lib/postgresql{}/bin", major),
        fmt::format("/opt/homebrew/opt/postgresql@{}/bin", major), "/usr/local/pgsql/bin"};
    const char* path = ::getenv("PATH");
    for (std::string_view rest = path != nullptr ? path : ""; !rest.empty();) {
        auto folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
        if (folder.starts_with('/')) folders.emplace_back(folder);
    }
    return folders;
}

/// A process' file below /proc; empty when the process is gone or not ours to see.
std::string proc_text(pid_t pid, const char* name)
{
    try {
        return std::string(
            base::as_text(base::read_file(fmt::format("/proc/{}/{}", pid, name), 1U << 16)));
    } catch (const Error&) {
        return {};
    }
}

/// `name` is that of a file in our work folder; empty: any.
bool has_our_configuration(pid_t pid, const fs::path& work_dir, const std::string& name = {})
{
    auto arguments = proc_text(pid, "cmdline");
    return arguments.find("--config-file=" + (work_dir / name).native()) != std::string::npos;
}

/// A server enters its data directory soon after its start; before that its arguments tell.
bool is_server_in(pid_t pid, const fs::path& data_dir, const fs::path& work_dir)
{
    if (proc_text(pid, "comm") != "postgres\n") return false;
    std::error_code error;
    auto folder = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
    if (!error && fs::equivalent(folder, data_dir, error)) return true;
    return has_our_configuration(pid, work_dir);
}

std::vector<pid_t> servers_in(const fs::path& data_dir, const fs::path& work_dir)
{
    std::vector<pid_t> found;
    std::error_code error;
    for (fs::directory_iterator at{"/proc", error}, end; !error && at != end; at.increment(error)) {
        auto name = at->path().filename().string();
        pid_t pid = 0;
        auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (bad == std::errc{} && stop == name.data() + name.size() &&
            is_server_in(pid, data_dir, work_dir)) {
            found.push_back(pid);
        }
    }
    return found;
}

/// Children overwrite their arguments with a title, and a process that is ending has none.
bool is_postmaster(pid_t pid)
{
    auto arguments = proc_text(pid, "cmdline");
    return !arguments.empty() && !arguments.starts_with("postgres: ");
}

pid_t parent_of(pid_t pid)
{
    auto state = base::process_state(pid);
    return state ? state->parent : 0;
}

/// 0 of a file that is not there.
std::uint64_t size_of(const fs::path& file)
{
    std::error_code error;
    auto size = fs::file_size(file, error);
    return error ? 0 : size;
}

template <typename Condition> bool wait_until(Condition condition, base::Duration patience)
{
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(20ms);
    }
    return true;
}

} // namespace

fs::path find_server_binaries(const std::optional<fs::path>& wanted, int version_num)
{
    const auto major = std::to_string(version_num / 10000);
    if (wanted) {
        auto found = major_of(*wanted);
        if (found == major) return *wanted;
        throw Error{
            Code::member_not_ready,
            found ? fmt::format("{} holds PostgreSQL {}, but the backup is of PostgreSQL {}",
                                wanted->native(), *found, major)
                  : fmt::format("{} holds no PostgreSQL server", wanted->native()),
            {.hint = fmt::format("name the folder of the programs of PostgreSQL {}", major)}};
    }
    for (const auto& folder : candidates(major)) {
        if (major_of(folder) == major) return folder;
    }
    throw Error{Code::member_not_ready,
                fmt::format("PostgreSQL {} is not installed on this host", major),
                {.hint = fmt::format("install the package postgresql-{}, or name the folder of its "
                                     "programs",
                                     major)}};
}

std::optional<base::User> server_user(const std::string& name)
{
    auto self = ::geteuid();
    if (name.empty()) {
        if (self != 0) return std::nullopt;
        throw Error{Code::member_not_ready,
                    "PostgreSQL refuses to run as root",
                    {.hint = "name the user that shall run it, e.g. --user postgres"}};
    }
    auto user = base::lookup_user(name);
    if (user.uid == 0) {
        throw Error{Code::member_not_ready,
                    "PostgreSQL refuses to run as root",
                    {.hint = "name another user, e.g. --user postgres"}};
    }
    if (user.uid == self) return std::nullopt;
    if (self != 0) {
        throw Error{Code::member_not_ready,
                    fmt::format("only root can start a server as {}", name),
                    {.hint = fmt::format("run this as {} or as root", name)}};
    }
    return user;
}

std::optional<RunningServer> find_running_server(const fs::path& data_dir, const fs::path& work_dir)
{
    auto pids = servers_in(data_dir, work_dir);
    if (pids.empty()) return std::nullopt;
    for (pid_t pid : pids) {
        if (!is_postmaster(pid) || is_server_in(parent_of(pid), data_dir, work_dir)) continue;
        return RunningServer{pid, has_our_configuration(pid, work_dir),
                             has_our_configuration(pid, work_dir, kTrialConfig)};
    }
    return RunningServer{};
}

void stop_server(const fs::path& data_dir, const fs::path& work_dir, const RunningServer& server)
{
    auto gone = [&] { return servers_in(data_dir, work_dir).empty(); };
    if (server.pid == 0) {
        // A killed postmaster's children notice its death and leave.
        if (wait_until(gone, kOrphanPatience)) return;
        throw Error{Code::target_not_empty,
                    fmt::format("processes of a killed server still work in {}", data_dir.native()),
                    {.hint = "end them, then run the same command again"}};
    }
    ::kill(server.pid, SIGINT);
    if (wait_until(gone, kFastPatience)) return;
    ::kill(server.pid, SIGQUIT);
    if (wait_until(gone, kImmediatePatience)) return;
    for (pid_t pid : servers_in(data_dir, work_dir))
        ::kill(pid, SIGKILL);
    if (!wait_until(gone, kImmediatePatience)) {
        throw Error{Code::failed, fmt::format("the server in {} does not stop", data_dir.native())};
    }
}

void ServerProcess::start()
{
    if (auto found = find_running_server(launch_.data_dir, launch_.work_dir)) {
        if (found->pid != 0 && !found->ours) {
            throw Error{Code::target_not_empty,
                        fmt::format("a server (process {}) that is not ours runs in {}", found->pid,
                                    launch_.data_dir.native()),
                        {.hint = "stop it, or restore to another folder"}};
        }
        stop_server(launch_.data_dir, launch_.work_dir, *found);
    }
    require_data_directory(launch_);
    log_start_ = size_of(launch_.log_file);
    auto how = server_process_options(launch_);
    how.new_session = true; // a Ctrl-C at our terminal is not for the server
    how.out = {base::Output::To::file, launch_.log_file};
    how.err = {base::Output::To::file, launch_.log_file};
    std::vector<std::string> command{launch_.bin_dir / "postgres", "-D", launch_.data_dir,
                                     "--config-file=" + launch_.config_file.native()};
    for (const auto& setting : launch_.settings) {
        command.emplace_back("-c");
        command.push_back(setting);
    }
    process_ = base::Process::spawn(command, how);
    adopted_ = 0;
}

bool ServerProcess::adopt()
{
    if (running()) return true;
    auto log_start = size_of(launch_.log_file);
    auto found = find_running_server(launch_.data_dir, launch_.work_dir);
    if (!found || !found->ours || found->trial) return false;
    adopted_ = found->pid;
    log_start_ = log_start;
    return true;
}

bool ServerProcess::running()
{
    if (process_) return process_->running();
    return adopted_ != 0 && is_server_in(adopted_, launch_.data_dir, launch_.work_dir);
}

std::optional<base::Exit> ServerProcess::wait_for(base::Duration patience, std::stop_token stop)
{
    if (process_) return process_->wait_for(patience, std::move(stop));
    if (!running()) return base::Exit{};
    std::this_thread::sleep_for(patience);
    return std::nullopt;
}

void ServerProcess::stop()
{
    if (process_) {
        ::kill(process_->pid(), SIGINT);
        if (!process_->wait_for(base::Duration{kFastPatience})) {
            ::kill(process_->pid(), SIGQUIT);
            if (!process_->wait_for(base::Duration{kImmediatePatience})) {
                process_->kill(SIGKILL);
                process_->wait();
            }
        }
        process_.reset();
    }
    adopted_ = 0;
    auto found = find_running_server(launch_.data_dir, launch_.work_dir);
    if (found && (found->ours || found->pid == 0))
        stop_server(launch_.data_dir, launch_.work_dir, *found);
}

} // namespace tidemark::engine::postgres
