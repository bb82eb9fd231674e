#pragma once

#include "base/clock.h"
#include "base/fd.h"

#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tidemark::base {

struct User {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups; ///< all of its groups, its own among them
    std::filesystem::path home;
};

/// From the system's user database; an unknown name is Error{usage}.
User lookup_user(const std::string& name);

/// Where a child's output goes.
struct Output {
    enum class To { capture, inherit, nowhere, file };
    To to = To::capture;
    std::filesystem::path path = {}; ///< with `file`: appended to, created with mode 0600
};

struct ProcessOptions {
    /// Run as this user with its groups only; needs root unless it is the present user.
    std::optional<User> user = {};
    std::filesystem::path directory = {}; ///< empty: ours
    /// Set on top of ours, or the whole environment when `clean_environment`.
    std::map<std::string, std::string> environment = {};
    bool clean_environment = false;
    std::string input = {}; ///< stdin; empty is /dev/null
    Output out = {};
    Output err = {};
    /// Its own session and process group; kill() then reaches its children too.
    bool new_session = false;
};

/// How a program ended.
struct Exit {
    int code = 0;           ///< when it ended by itself
    int signal = 0;         ///< when a signal ended it, else 0
    bool timed_out = false; ///< we killed it at the deadline
    bool success() const { return code == 0 && signal == 0 && !timed_out; }
    /// "exit code 3", "killed by signal 9 (Killed)", "killed at its deadline"
    std::string describe() const;
};

/// A child process. There is no shell: the arguments arrive as they are. Only stdin, stdout and
/// stderr are inherited. The destructor kills (SIGKILL) and reaps a child that is still running.
/// One thread at a time.
class Process {
public:
    /// `argv[0]` without a '/' is looked up in PATH. A program that cannot be started is an Error
    /// here.
    static Process spawn(const std::vector<std::string>& argv, const ProcessOptions& options = {});
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    pid_t pid() const { return pid_; }
    bool running();
    /// To the process, or to its whole group with `new_session`. No effect once it has been reaped.
    void kill(int signal);
    Exit wait();
    /// Empty when it still runs after `patience`, or when `stop` was requested before.
    std::optional<Exit> wait_for(Duration patience, std::stop_token stop = {});
    /// What was captured so far, at most `limit` bytes of it.
    std::string out(std::size_t limit = kOutputLimit) const;
    std::string err(std::size_t limit = kOutputLimit) const;
    /// The child may outlive us.
    void release();

    static constexpr std::size_t kOutputLimit = 256U << 20;

private:
    Process() = default;
    void end() noexcept;
    void reap();

    pid_t pid_ = -1;
    bool group_ = false;
    Fd out_;
    Fd err_;
    std::optional<Exit> exit_;
};

struct RunOptions {
    ProcessOptions process = {};
    std::optional<Duration> deadline = {}; ///< then it is killed
    std::stop_token stop = {};             ///< then it is killed and Error{cancelled} thrown
};

struct RunResult {
    Exit exit;
    std::string out;
    std::string err;
};

/// Spawns, waits, and returns what it printed. A program that fails is not an Error: look at
/// `exit`.
RunResult run(const std::vector<std::string>& argv, const RunOptions& options = {});

} // namespace tidemark::base
