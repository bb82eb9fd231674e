#include "engine/postgres/preflight.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/conf_file.h"

#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Error;

std::vector<fs::path> library_folders(const fs::path& bin_dir)
{
    std::vector<fs::path> folders;
    if (::access((bin_dir / "pg_config").c_str(), X_OK) == 0) {
        auto says =
            base::run({bin_dir / "pg_config", "--pkglibdir"}, {.deadline = base::Duration{10s}});
        if (says.exit.success()) folders.emplace_back(says.out.substr(0, says.out.find('\n')));
    }
    folders.push_back(bin_dir.parent_path() / "lib");
    folders.push_back(bin_dir.parent_path() / "lib/postgresql");
    return folders;
}

} // namespace

void require_libraries(const fs::path& bin_dir, const std::vector<std::string>& libraries)
{
    if (libraries.empty()) return;
    auto folders = library_folders(bin_dir);
    std::vector<std::string> missing;
    for (auto name : libraries) {
        if (name.starts_with("$libdir/")) name = name.substr(8);
        bool found = false;
        for (const auto& folder : folders) {
            auto path = name.starts_with('/') ? fs::path(name) : folder / name;
            std::error_code error;
            found = found || fs::exists(path, error) || fs::exists(path.native() + ".so", error);
        }
        if (!found) missing.push_back(name);
    }
    if (missing.empty()) return;
    throw Error{Code::member_not_ready,
                fmt::format("the server at {} lacks the libraries {}", bin_dir.native(),
                            fmt::join(missing, ", ")),
                {.hint = "install the extensions' packages for this version of PostgreSQL"}};
}

base::ProcessOptions server_process_options(const ServerLaunch& launch)
{
    base::ProcessOptions options;
    options.user = launch.user;
    options.directory = "/";
    // PGPASSWORD and other secrets of ours are none of the server's, whose account can read them.
    options.clean_environment = true;
    options.environment = base::basic_environment();
    if (launch.user) options.environment["HOME"] = launch.user->home.native();
    // Messages before the configuration is read follow the environment.
    options.environment["LC_ALL"] = options.environment["LC_MESSAGES"] = "C";
    return options;
}

void require_data_directory(const ServerLaunch& launch)
{
    auto result =
        base::run({launch.bin_dir / "postgres", "-D", launch.data_dir,
                   "--config-file=" + launch.config_file.native(), "-C", "data_directory"},
                  {.process = server_process_options(launch), .deadline = base::Duration{30s}});
    auto says = result.out;
    if (says.ends_with('\n')) says.pop_back(); // one: a path may hold others
    if (!result.exit.success()) {
        throw Error{
            Code::member_not_ready,
            fmt::format("the server's programs refuse {}: {}", launch.config_file.native(),
                        result.err),
            {.hint = "check that the server's user can enter the folders above the target"}};
    }
    std::error_code error;
    if (!fs::equivalent(says, launch.data_dir, error)) {
        throw Error{
            Code::failed,
            fmt::format("{} leads to the data directory {} instead of {}: nothing was started",
                        launch.config_file.native(), says, launch.data_dir.native())};
    }
}

std::string ask_single_user(const ServerLaunch& launch, const std::string& query)
{
    auto options = server_process_options(launch);
    options.input = query + "\n";
    auto result = base::run({launch.bin_dir / "postgres", "--single", "-D", launch.data_dir,
                             "--config-file=" + launch.config_file.native(), "template1"},
                            {.process = options, .deadline = base::Duration{10min}});
    // "	 1: rolname = "postgres"	(typeid = 19, ...)"
    auto from = result.out.find(" = \"");
    auto to = result.out.find("\"\t(typeid", from);
    if (!result.exit.success() || from == std::string::npos || to == std::string::npos) {
        throw Error{Code::failed,
                    fmt::format("the server's single-user mode does not answer: {}", result.err)};
    }
    return result.out.substr(from + 4, to - from - 4);
}

PidFile read_pid_file(const fs::path& data_dir)
{
    auto bytes = base::read_file(data_dir / "postmaster.pid", 1U << 16);
    auto lines = split_lines(base::as_text(bytes));
    PidFile out;
    if (lines.size() > 3) {
        std::from_chars(lines[3].data(), lines[3].data() + lines[3].size(), out.port);
    }
    if (lines.size() > 4) out.socket_dir = lines[4];
    return out;
}

} // namespace tidemark::engine::postgres
