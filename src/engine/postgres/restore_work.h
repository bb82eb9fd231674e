#pragma once

#include "engine/postgres/control_file.h"
#include "engine/postgres/recovery_config.h"
#include "engine/postgres/restored_server.h"
#include "engine/postgres/server_process.h"
#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"

#include <filesystem>
#include <optional>
#include <string>

namespace tidemark::engine::postgres {

/// What a restore remembers about its goal in the work folder, so that any later run of ours can
/// go on: written by prepare(), read by every other step.
struct RestoreMemory {
    RecoveryGoal goal;
    std::string restore_command;
    std::map<std::string, std::string> limits;
    std::string superuser;
    std::string database; ///< one that accepts connections, where none that we know does
    std::map<std::string, std::string> collations;
    bool creates_tablespaces = false; ///< replay does, below the data directory
};
std::string format_memory(const RestoreMemory& memory);
RestoreMemory parse_memory(std::string_view text);

/// The work folder of one restored member: generated configuration, private socket, server logs.
class RestoreWork {
public:
    RestoreWork(const TargetConfig& config, std::optional<base::User> user);

    const TargetFolder& folder() const { return folder_; }
    const TargetFolder& data() const { return data_; }
    const std::optional<base::User>& user() const { return user_; }

    bool has_memory() const { return folder_.exists("restore.conf"); }
    void remember(const RestoreMemory& memory);
    /// Error{failed} when nothing was prepared here.
    const RestoreMemory& memory();

    /// Where phase 1 ended, if it did for the present goal.
    std::optional<Reached> reached();
    void set_reached(const std::optional<Reached>& reached);

    /// Writes the configuration for `purpose` and tells how to start the server with it.
    ServerLaunch configure(ServerPurpose purpose, const std::filesystem::path& bin_dir,
                           const ControlFile& control);
    ServerSetup setup(ServerPurpose purpose, const ControlFile& control);
    RestoredServer server();
    /// Ours and private (0700); fit for a socket, if need be below /tmp.
    std::filesystem::path socket_dir();
    /// Removes the socket folder where it is not below the work folder; the server is stopped.
    void remove_outside();

private:
    TargetConfig config_;
    std::optional<base::User> user_;
    TargetFolder folder_;
    TargetFolder data_;
    std::optional<RestoreMemory> memory_;
};

/// Can a server make its socket in this folder, and a client name it? Not when it is too long for
/// an address, nor with what separates or quotes folders in unix_socket_directories and libpq's
/// host.
bool can_hold_socket(const std::filesystem::path& folder);

} // namespace tidemark::engine::postgres
