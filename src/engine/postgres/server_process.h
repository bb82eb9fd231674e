#pragma once

#include "base/subprocess.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tidemark::engine::postgres {

/// The folder with the server's programs of `version_num`'s major version: `wanted`, or where
/// distributions put them, or in PATH. Error{member_not_ready} names the package.
std::filesystem::path find_server_binaries(const std::optional<std::filesystem::path>& wanted,
                                           int version_num);

/// Who shall run the server: `name`, or ourselves when it is empty. Root, which PostgreSQL refuses,
/// and a user that we may not become are Error{member_not_ready}; absent means ourselves.
std::optional<base::User> server_user(const std::string& name);

/// A server process that runs in a data directory.
struct RunningServer {
    pid_t pid = 0;      ///< of the postmaster; 0 when only its children are left
    bool ours = false;  ///< started with a configuration file below our work folder
    bool trial = false; ///< of kTrialConfig: it was to be stopped again at once
};

/// The name of a configuration that is only tried; a server that was killed with it is never
/// adopted, for it has the access rules of production.
inline constexpr const char* kTrialConfig = "trial.conf";

/// What runs in `data_dir`, whatever its postmaster.pid says; empty when nothing does.
std::optional<RunningServer> find_running_server(const std::filesystem::path& data_dir,
                                                 const std::filesystem::path& work_dir);

/// How a server of ours is started.
struct ServerLaunch {
    std::filesystem::path bin_dir;
    std::filesystem::path data_dir;
    std::filesystem::path work_dir;
    std::filesystem::path config_file; ///< below work_dir
    std::filesystem::path log_file;    ///< appended to
    std::optional<base::User> user;
    /// name=value, stronger than any file.
    std::vector<std::string> settings = {};
};

/// A server under our own configuration. It survives our process should that be killed; the next
/// run finds it. Whoever starts it stops it: the end of the object kills it.
class ServerProcess {
public:
    explicit ServerProcess(ServerLaunch launch) : launch_(std::move(launch)) {}

    /// Checks that the configuration means our data directory, then starts the server. A leftover
    /// of ours is stopped first; somebody else's is Error{target_not_empty}.
    void start();
    /// Takes a running server of ours over instead of starting one; false when there is none.
    bool adopt();
    bool running();
    /// How a server that start() started ended; an adopted one reports no code.
    std::optional<base::Exit> wait_for(base::Duration patience, std::stop_token stop);
    /// A fast shutdown, then harder means. Returns when no process of it is left.
    void stop();
    /// Where this start's output begins in the log file; of an adopted server, what it wrote since
    /// then. Before it may stand the words of others, days old.
    std::uint64_t log_start() const { return log_start_; }

private:
    ServerLaunch launch_;
    std::optional<base::Process> process_;
    pid_t adopted_ = 0;
    std::uint64_t log_start_ = 0;
};

/// Stops a server that is no child of ours.
void stop_server(const std::filesystem::path& data_dir, const std::filesystem::path& work_dir,
                 const RunningServer& server);

} // namespace tidemark::engine::postgres
