#pragma once

#include "engine/postgres/server_process.h"

#include <filesystem>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// Are these libraries installed for the server's programs in `bin_dir`? Error{member_not_ready}
/// names the missing ones.
void require_libraries(const std::filesystem::path& bin_dir,
                       const std::vector<std::string>& libraries);

/// Asks the programs which data directory a configuration means, before anything is started.
/// Error{failed} when it is another than the launch says.
void require_data_directory(const ServerLaunch& launch);

/// By whom and where one can connect to a server, which is not running: its own single-user mode
/// tells, for it lets the bootstrap superuser in whatever the catalogues say. The roles and
/// databases that every cluster begins with come first. Error{member_not_ready} says how to open it
/// where nobody may log in, or nowhere.
struct WayIn {
    std::string superuser;
    std::string database;
};
WayIn find_way_in(const ServerLaunch& launch);

/// Lines 4 and 5 of postmaster.pid.
struct PidFile {
    int port = 0;
    std::string socket_dir;
};
PidFile read_pid_file(const std::filesystem::path& data_dir);

/// How programs of the server are run: as its user, in no working directory, with messages in
/// English and without what else is in our environment.
base::ProcessOptions server_process_options(const ServerLaunch& launch);

} // namespace tidemark::engine::postgres
