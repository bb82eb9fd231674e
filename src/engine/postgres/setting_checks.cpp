#include "engine/postgres/setting_checks.h"

#include "engine/postgres/check_entry.h"
#include "engine/postgres/config_capture.h"
#include "engine/postgres/roles.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string_view>
#include <utility>

namespace tidemark::engine::postgres {

namespace {

/// synchronous_standby_names (syncrep_scanner.l): "names", "N (names)", "FIRST N (names)" or
/// "ANY N (names)"; a name may stand in double quotes.
struct SynchronousNames {
    std::string method; ///< what stands before the names, "ANY 1 "
    std::vector<std::string> names;
};

SynchronousNames parse_synchronous(std::string_view setting)
{
    SynchronousNames out;
    std::string name;
    auto take = [&] {
        if (!name.empty()) out.names.push_back(std::exchange(name, {}));
    };
    for (std::size_t i = 0; i < setting.size(); ++i) {
        const char c = setting[i];
        if (c == '"') {
            for (++i; i < setting.size(); ++i) {
                if (setting[i] == '"' && setting.substr(i + 1, 1) != "\"") break;
                if (setting[i] == '"') ++i;
                name += setting[i];
            }
        } else if (c == '(') {
            out = {.method = std::string(setting.substr(0, i)), .names = {}};
            name.clear();
        } else if (c == ',' || c == ')' || std::isspace(static_cast<unsigned char>(c)) != 0) {
            take();
        } else {
            name += c;
        }
    }
    take();
    return out;
}

/// As the server compares them; ours is the default of ConnectOptions.
bool is_our_name(std::string name)
{
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return name == ConnectOptions{}.application_name;
}

/// The same without us: our name goes, and the names of those who are connected take the place of
/// the star.
std::string without_us(const SynchronousNames& wanted, const std::vector<std::string>& standbys)
{
    std::vector<std::string> names;
    auto add = [&](const std::string& name) {
        auto quoted = Connection::identifier(name);
        if (!is_our_name(name) && std::ranges::find(names, quoted) == names.end())
            names.push_back(std::move(quoted));
    };
    for (const auto& name : wanted.names) {
        if (name != "*")
            add(name);
        else
            std::ranges::for_each(standbys, add);
    }
    if (names.empty()) return "";
    auto list = fmt::format("{}", fmt::join(names, ", "));
    return wanted.method.empty() ? list : fmt::format("{}({})", wanted.method, list);
}

} // namespace

Check check_synchronous(const std::string& setting, const std::vector<std::string>& standbys)
{
    const SynchronousNames wanted = parse_synchronous(setting);
    const bool counts = std::ranges::any_of(
        wanted.names, [](const auto& name) { return name == "*" || is_our_name(name); });
    if (!counts)
        return ok("synchronous_standby",
                  setting.empty() ? "no commit waits for a standby" : "names others: " + setting);
    const std::string named = without_us(wanted, standbys);
    return waiting(
        "synchronous_standby",
        fmt::format("synchronous_standby_names is {}: our log receiver counts as a synchronous "
                    "standby, so commits can wait for our pieces, or be acknowledged while no "
                    "standby has them",
                    Connection::literal(setting)),
        fmt::format("name the standbys{}: ALTER SYSTEM SET synchronous_standby_names = {}; SELECT "
                    "pg_reload_conf();",
                    named.empty() ? " (none is connected now; '' where there are none)" : "",
                    Connection::literal(named.empty() ? "STANDBY, ..." : named)));
}

Check check_synchronous(Connection& sql)
{
    const Result rows =
        sql.exec("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' "
                 "AND application_name NOT IN ('', 'pg_receivewal', 'pg_recvlogical') ORDER BY 1");
    std::vector<std::string> standbys;
    for (int i = 0; i < rows.rows(); ++i)
        standbys.emplace_back(rows.get(i, 0));
    const Result setting = sql.exec("SELECT current_setting('synchronous_standby_names')");
    return check_synchronous(std::string(setting.get(0, 0)), standbys);
}

Check check_configuration(const std::vector<CapturedFile>& captured, const std::string& role)
{
    const auto missing = model::missing_configuration(captured);
    if (missing.empty())
        return ok("configuration_files", captured.empty()
                                             ? "in the data directory"
                                             : "what lies outside the data directory can be read");
    return waiting("configuration_files",
                   fmt::format("backups will not hold {}: outside the data directory, and not "
                               "readable for us",
                               fmt::join(missing, ", ")),
                   fmt::format("let data_dir name the data directory and the job's user read these "
                               "files; or let the role read them, and every other file that the "
                               "server can read: {}",
                               reading_statement(role)));
}

Check check_configuration(Connection& sql, const MemberConfig& member)
{
    const ConfigPlaces places = find_configuration(sql);
    if (places.config_file.empty())
        return waiting("configuration_files",
                       "where the server keeps its configuration cannot be seen",
                       fmt::format("GRANT pg_monitor TO {};", Connection::identifier(sql.user())));
    // As the base backups of this member read it.
    const bool local = member.data_dir && !member.backup_from;
    const ConfigReader reader = server_reader(sql);
    return check_configuration(capture_configuration(places, local ? local_reader(reader) : reader),
                               sql.user());
}

} // namespace tidemark::engine::postgres
