#include "engine/postgres/preflight.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/conf_file.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/start_command.h"

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

namespace {

std::vector<std::string> single_user(const ServerLaunch& launch, const std::string& database)
{
    return {launch.bin_dir / "postgres",
            "--single",
            "-D",
            launch.data_dir,
            "--config-file=" + launch.config_file.native(),
            database};
}

/// One value, from whichever database there is: this mode enters those that accept nobody, too.
std::string ask_single_user(const ServerLaunch& launch, const std::string& query)
{
    auto options = server_process_options(launch);
    options.input = query + "\n";
    base::RunResult result;
    for (const char* database : {"template1", "template0", "postgres"}) {
        result = base::run(single_user(launch, database),
                           {.process = options, .deadline = base::Duration{10min}});
        if (result.exit.success() || result.err.find("does not exist") == std::string::npos) break;
    }
    // "	 1: rolname = "postgres"	(typeid = 19, ...)"
    auto from = result.out.find(" = \"");
    auto to = result.out.find("\"\t(typeid", from);
    if (!result.exit.success() || from == std::string::npos || to == std::string::npos) {
        throw Error{Code::failed,
                    fmt::format("the server's single-user mode does not answer: {}", result.err)};
    }
    return result.out.substr(from + 4, to - from - 4);
}

/// What a person pastes into a shell so that the server can be entered again.
std::string repair_command(const ServerLaunch& launch, const std::string& statement)
{
    auto out = fmt::format("echo {} |", shell_word(statement));
    if (launch.user) out += " runuser -u " + shell_word(launch.user->name) + " --";
    for (const auto& word : single_user(launch, "template1"))
        out += " " + shell_word(word);
    return out;
}

} // namespace

WayIn find_way_in(const ServerLaunch& launch)
{
    WayIn way;
    way.superuser = ask_single_user(
        launch, "SELECT coalesce((SELECT rolname::text FROM pg_authid WHERE rolsuper AND "
                "rolcanlogin ORDER BY oid <> 10, oid LIMIT 1), '')");
    if (way.superuser.empty()) {
        auto bootstrap =
            ask_single_user(launch, "SELECT rolname::text FROM pg_authid WHERE oid = 10");
        auto alter = fmt::format("ALTER ROLE {} LOGIN", Connection::identifier(bootstrap));
        throw Error{Code::member_not_ready,
                    fmt::format("no superuser may log in at the goal, also not {}", bootstrap),
                    {.hint = repair_command(launch, alter) +
                             ", then run the same command again; take it back (NOLOGIN) when the "
                             "server is yours"}};
    }
    way.database = ask_single_user(
        launch, "SELECT coalesce((SELECT datname::text FROM pg_database WHERE datallowconn AND "
                "datconnlimit <> -2 ORDER BY datname NOT IN ('postgres', 'template1'), oid "
                "LIMIT 1), '')");
    if (way.database.empty()) {
        throw Error{
            Code::member_not_ready,
            "no database accepts connections at the goal",
            {.hint = repair_command(launch, "ALTER DATABASE template1 ALLOW_CONNECTIONS true") +
                     ", then run the same command again"}};
    }
    return way;
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
