#pragma once

#include "base/subprocess.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::app {

/// The programs of one PostgreSQL version on this machine.
struct PostgresInstall {
    std::filesystem::path bin; ///< holds initdb and postgres
    int major = 0;
};

/// Every installation found in the places where distributions put them, newest first. The folder
/// named by TIDEMARK_POSTGRES_BIN, when set, is the only one.
std::vector<PostgresInstall> find_postgres_installs();
/// The newest one, or that of `major`. None is Error{usage} that names the packages.
PostgresInstall find_postgres(std::optional<int> major = {});

/// The environment that programs in `bin` need to find their own libpq; empty for distributions'.
std::map<std::string, std::string> library_path(const std::filesystem::path& bin);

} // namespace tidemark::app
