#include "app/demo/postgres_install.h"

#include "base/error.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <string>
#include <system_error>
#include <unistd.h>

namespace tidemark::app {

namespace {

namespace fs = std::filesystem;

bool executable(const fs::path& program)
{
    return ::access(program.c_str(), X_OK) == 0;
}

/// "postgres (PostgreSQL) 15.18 (Debian ...)" -> 15
std::optional<int> major_version(const fs::path& bin)
{
    base::RunOptions options;
    options.process.environment = library_path(bin);
    options.deadline = std::chrono::seconds{10};
    auto result = base::run({(bin / "postgres").string(), "--version"}, options);
    auto at = result.out.find(") ");
    if (!result.exit.success() || at == std::string::npos) return {};
    int major = std::atoi(result.out.c_str() + at + 2);
    return major > 0 ? std::optional{major} : std::nullopt;
}

void add(std::vector<PostgresInstall>& found, const fs::path& bin)
{
    if (!executable(bin / "postgres") || !executable(bin / "initdb")) return;
    if (auto major = major_version(bin)) found.push_back({.bin = bin, .major = *major});
}

/// Folders `parent`/*/bin whose middle part starts with `prefix`.
void add_below(std::vector<PostgresInstall>& found, const fs::path& parent, std::string_view prefix)
{
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{parent, error}) {
        if (entry.path().filename().string().starts_with(prefix)) add(found, entry.path() / "bin");
    }
}

} // namespace

std::map<std::string, std::string> library_path(const fs::path& bin)
{
    fs::path lib = bin.parent_path() / "lib";
    std::error_code error;
    if (!fs::exists(lib / "libpq.so.5", error)) return {};
    return {{"LD_LIBRARY_PATH", lib.string()}};
}

std::vector<PostgresInstall> find_postgres_installs()
{
    std::vector<PostgresInstall> found;
    if (const char* given = std::getenv("TIDEMARK_POSTGRES_BIN"); given != nullptr && *given != 0) {
        add(found, given);
        if (found.empty()) {
            throw base::Error{
                base::Code::usage,
                fmt::format("TIDEMARK_POSTGRES_BIN={} holds no working postgres and initdb", given),
                {.hint = "name the folder with PostgreSQL's programs, or unset it"}};
        }
        return found;
    }
    add_below(found, "/usr/lib/postgresql", "");
    add_below(found, "/usr", "pgsql-");
    std::ranges::sort(found, std::greater{}, &PostgresInstall::major);
    return found;
}

PostgresInstall find_postgres(std::optional<int> major)
{
    for (const auto& install : find_postgres_installs()) {
        if (!major || install.major == *major) return install;
    }
    auto what = major ? fmt::format("PostgreSQL {}", *major) : std::string("a PostgreSQL server");
    throw base::Error{base::Code::usage,
                      fmt::format("cannot find the programs of {} on this machine", what),
                      {.hint =
                           "install it (Debian 12: apt-get install postgresql-15), or set "
                           "TIDEMARK_POSTGRES_BIN to the folder that holds postgres and initdb"}};
}

} // namespace tidemark::app
