#pragma once

#include "engine/restore_target.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

/// The complete configuration under which we run a server that is being restored (rules.md 23):
/// nothing of the backup's own is in force.
namespace tidemark::engine::postgres {

/// What the server is started for.
enum class ServerPurpose {
    recover, ///< replay to the goal and shut down there
    promote, ///< replay to the goal and open a new timeline
    run,     ///< already promoted: only to be talked to
    keep,    ///< handed over in quarantine; the file lies in the data directory
};

struct ServerSetup {
    ServerPurpose purpose = ServerPurpose::recover;
    int major = 0; ///< 13 to 18
    std::filesystem::path data_dir;
    std::filesystem::path hba_file;
    std::filesystem::path ident_file;
    std::filesystem::path socket_dir;
    int port = 5432;
    RecoveryGoal goal;           ///< for recover and promote
    std::string restore_command; ///< likewise
    std::map<std::string, std::string> limits;
    bool tablespaces_inside = false;            ///< replay makes some in pg_tblspc itself
    bool track_commit_timestamp = false;        ///< as pg_control has it
    std::uint32_t wal_segment_size = 16U << 20; ///< likewise, in bytes
    std::vector<std::string> preload_libraries;
};

/// The text of a postgresql.conf.
std::string server_configuration(const ServerSetup& setup);
/// Only over our socket, whose folder only the server's user and root can enter.
std::string private_hba();

/// The larger of two settings that are numbers; what is no number loses.
std::string larger_limit(const std::string& a, const std::string& b);

} // namespace tidemark::engine::postgres
