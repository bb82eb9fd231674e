#include "engine/postgres/amcheck.h"

#include "base/error.h"
#include "engine/postgres/conf_file.h"

#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

/// pg_amcheck's own codes: 2 when something is corrupted, 1 when it could not go on.
constexpr int kCorrupted = 2;

ContentCheck not_run(std::string why)
{
    return {.ran = false, .text = std::move(why)};
}

/// Why the check cannot be made here; empty: it can.
std::string obstacle(const RestoredServer& server, const AmcheckOptions& options)
{
    int major = options.version_num / 10000;
    if (major < 14) return fmt::format("pg_amcheck came with PostgreSQL 14, this is {}", major);
    if (::access((options.bin_dir / "pg_amcheck").c_str(), X_OK) != 0)
        return fmt::format("pg_amcheck is not installed in {} (Debian: package "
                           "postgresql-client-{})",
                           options.bin_dir.native(), major);
    auto rows = server.connect().exec(
        "SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'");
    if (rows.rows() == 0)
        return fmt::format("the extension amcheck is not installed for PostgreSQL {} (Debian: "
                           "package postgresql-{}, elsewhere postgresql-contrib)",
                           major, major);
    return "";
}

std::string what_was_checked(const RestoredServer& server)
{
    auto rows =
        server.connect().exec("SELECT count(*) FILTER (WHERE datallowconn), "
                              "count(*) FILTER (WHERE NOT datallowconn AND datname <> 'template0') "
                              "FROM pg_catalog.pg_database");
    auto text = fmt::format("pg_amcheck read all tables and B-tree indexes of {} databases",
                            rows.get(0, 0));
    if (rows.integer(0, 1).value_or(0) != 0)
        text += fmt::format("; {} that accept no connections were left out", rows.get(0, 1));
    return text;
}

base::ProcessOptions environment(const AmcheckOptions& options)
{
    base::ProcessOptions process;
    process.user = options.user;
    process.directory = "/";
    process.clean_environment = true;
    const char* path = std::getenv("PATH");
    process.environment = {
        {"PATH", path != nullptr ? path : "/usr/bin:/bin"},
        {"LC_ALL", "C"},
        // What is kept prepared may hold locks for ever.
        {"PGOPTIONS", "-c lock_timeout=60s -c statement_timeout=0 -c role=none -c row_security=off "
                      "-c zero_damaged_pages=off -c jit=off -c session_preload_libraries= "
                      "-c local_preload_libraries="}};
    return process;
}

} // namespace

std::vector<std::string> parse_amcheck_report(std::string_view out)
{
    std::vector<std::string> faults;
    for (const auto& line : split_lines(out)) {
        if (line.empty()) continue;
        auto text = line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
        if (faults.empty() || (line[0] != ' ' && line[0] != '\t'))
            faults.emplace_back(text);
        else
            faults.back().append(" ").append(text);
    }
    return faults;
}

ContentCheck run_amcheck(const RestoredServer& server, const AmcheckOptions& options,
                         std::stop_token stop)
{
    if (auto why = obstacle(server, options); !why.empty()) return not_run(why);
    // Not by its --install-missing, which runs the event triggers of the backup.
    try {
        server.install_extension("amcheck");
    } catch (const SqlError& error) {
        return {
            .ran = true,
            .text = "nothing was read",
            .faults = {fmt::format("the extension amcheck cannot be installed: {}", error.what())},
            .fault_count = 1};
    }
    const auto& place = server.place();
    // It knows no others than postgres and template1 to begin with.
    std::string open{server.connect().exec("SELECT pg_catalog.current_database()").get(0, 0)};
    auto result = base::run({options.bin_dir / "pg_amcheck", "--all", "--no-password", "--jobs",
                             std::to_string(options.workers), "--host", place.socket_dir, "--port",
                             std::to_string(place.port), "--username", place.superuser,
                             "--maintenance-db", server.conninfo(open)},
                            {.process = environment(options), .stop = stop});
    ContentCheck check{.ran = true, .text = what_was_checked(server)};
    if (result.exit.success()) return check;
    check.faults = parse_amcheck_report(result.out);
    if (result.exit.code != kCorrupted || check.faults.empty()) {
        for (auto& line : parse_amcheck_report(result.err))
            check.faults.push_back(std::move(line));
        check.faults.push_back("pg_amcheck ended early: " + result.exit.describe());
    }
    check.fault_count = check.faults.size();
    if (check.faults.size() > kMaxFaults) check.faults.resize(kMaxFaults);
    return check;
}

} // namespace tidemark::engine::postgres
