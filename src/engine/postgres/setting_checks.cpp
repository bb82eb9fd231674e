#include "engine/postgres/setting_checks.h"

#include "engine/postgres/check_entry.h"
#include "engine/postgres/config_capture.h"
#include "engine/postgres/roles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::engine::postgres {

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
