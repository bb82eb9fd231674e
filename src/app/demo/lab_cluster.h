#pragma once

#include "app/demo/lab_folder.h"
#include "app/demo/postgres_install.h"
#include "base/clock.h"
#include "base/subprocess.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace tidemark::app {

struct LabClusterOptions {
    std::string name = {};
    std::filesystem::path folder = {}; ///< made by LabFolder; the cluster lives in folder/name
    std::optional<PostgresInstall> install = {}; ///< the newest when absent
    /// Added to (and stronger than) what a small cluster with two-phase commit needs.
    std::map<std::string, std::string> settings = {};
    std::optional<int> wal_segment_mb = {}; ///< initdb --wal-segsize
    bool checksums = true;
    bool fsync = false; ///< off unless durability across power loss is what is tested
    /// Listens on a free port of 127.0.0.1 too, with a password; without it there is no TCP.
    bool tcp = false;
};

/// A throwaway PostgreSQL cluster of our own: private socket, superuser "postgres" by trust on that
/// socket, no TCP unless asked for. The server is a child process and dies with this object; the
/// files stay until destroy() or the folder's end. One thread at a time. Errors: base::Error with
/// the server's last words.
class LabCluster {
public:
    /// Runs initdb; start() is the caller's.
    explicit LabCluster(LabClusterOptions options);
    LabCluster(const LabCluster&) = delete;
    LabCluster& operator=(const LabCluster&) = delete;
    ~LabCluster();

    /// Returns when the server accepts connections.
    void start();
    /// A clean stop ("fast").
    void stop();
    void restart();
    /// As when the machine dies: postmaster and all backends get SIGKILL at the same moment.
    /// Returns when none is left.
    void kill9();
    /// Stops hard and removes every file of the cluster; it cannot be started again.
    void destroy();
    bool running();

    /// Appends settings to the configuration; they hold after reload() or restart().
    void configure(const std::map<std::string, std::string>& settings);
    void reload();

    /// libpq key=value form for the socket, as the superuser.
    std::string conninfo(const std::string& database = "postgres") const;
    /// The same as a postgresql:// URL.
    std::string url(const std::string& database = "postgres") const;
    /// Over 127.0.0.1 with `tcp`, with the password of `superuser_password()` unless another is
    /// given.
    std::string tcp_conninfo(const std::string& database, const std::string& password) const;
    const std::string& superuser_password() const { return password_; }

    const std::string& name() const { return options_.name; }
    const PostgresInstall& install() const { return *options_.install; }
    std::filesystem::path data_dir() const { return home_ / "data"; }
    std::filesystem::path log_file() const { return home_ / "server.log"; }
    const std::filesystem::path& socket_dir() const { return socket_dir_; }
    int port() const { return port_; }
    /// The end of the server's log, for messages.
    std::string last_words(std::size_t bytes = 2000) const;

private:
    base::ProcessOptions process_options() const;
    void run_initdb();
    void start_keeper();
    void write_settings(const std::map<std::string, std::string>& settings) const;
    std::map<std::string, std::string> base_settings() const;
    void choose_socket_dir();
    bool ready() const;
    void wait_for_end(base::Duration patience);
    void forget_shared_memory() const;

    LabClusterOptions options_;
    std::optional<base::User> user_;
    std::filesystem::path home_;
    std::filesystem::path socket_dir_;
    int port_ = 5432;
    std::string password_;
    std::optional<base::Process> server_;
    /// Stops the server should we die without our destructors.
    std::optional<base::Process> keeper_;
};

} // namespace tidemark::app
