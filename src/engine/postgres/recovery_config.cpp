#include "engine/postgres/recovery_config.h"

#include "base/check.h"
#include "engine/postgres/conf_file.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::engine::postgres {

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

std::int64_t number_of(const std::string& text)
{
    std::int64_t value = -1;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

void add_place(Settings& out, const ServerSetup& setup)
{
    out.emplace_back("data_directory", setup.data_dir.native());
    out.emplace_back("hba_file", setup.hba_file.native());
    out.emplace_back("ident_file", setup.ident_file.native());
    out.emplace_back("external_pid_file", "");
    out.emplace_back("listen_addresses", "");
    out.emplace_back("port", std::to_string(setup.port));
    out.emplace_back("unix_socket_directories", setup.socket_dir.native());
    out.emplace_back("unix_socket_permissions", "0700");
    out.emplace_back("unix_socket_group", "");
    out.emplace_back("ssl", "off");
}

/// Everything by which a copy of a production server would act on the world.
void add_silence(Settings& out, const ServerSetup& setup)
{
    std::string libraries = fmt::format("{}", fmt::join(setup.preload_libraries, ","));
    out.emplace_back("shared_preload_libraries", libraries);
    out.emplace_back("session_preload_libraries", "");
    out.emplace_back("local_preload_libraries", "");
    out.emplace_back("archive_mode", "off");
    out.emplace_back("archive_command", "");
    if (setup.major >= 15) out.emplace_back("archive_library", "");
    out.emplace_back("archive_cleanup_command", "");
    out.emplace_back("recovery_end_command", "");
    out.emplace_back("primary_conninfo", "");
    out.emplace_back("primary_slot_name", "");
    out.emplace_back("synchronous_standby_names", "");
    out.emplace_back("max_wal_senders", "0");
    out.emplace_back("max_logical_replication_workers", "0");
    out.emplace_back("jit", "off");
    if (setup.purpose != ServerPurpose::keep) {
        out.emplace_back("autovacuum", "off");
        out.emplace_back("hot_standby", "off");
        out.emplace_back("restart_after_crash", "off");
        if (setup.major >= 17) out.emplace_back("event_triggers", "off");
    }
}

void add_limits(Settings& out, const ServerSetup& setup)
{
    auto limits = setup.limits;
    // Origins of logical replication are kept in slots of this table.
    auto at_least = [&](const std::string& name, const std::string& value) {
        limits[name] = larger_limit(limits[name], value);
    };
    at_least("max_connections", "100");
    at_least("max_replication_slots", "64");
    if (setup.major >= 18) at_least("max_active_replication_origins", "64");
    for (const char* name :
         {"max_connections", "max_prepared_transactions", "max_worker_processes",
          "max_locks_per_transaction", "max_replication_slots", "max_active_replication_origins"}) {
        auto at = limits.find(name);
        if (at != limits.end() && number_of(at->second) >= 0) out.emplace_back(name, at->second);
    }
}

void add_durability_and_log(Settings& out, const ServerSetup& setup)
{
    out.emplace_back("fsync", "on");
    out.emplace_back("full_page_writes", "on");
    out.emplace_back("wal_level", "replica");
    // As the member has it at the goal. A server that ends recovery with this off removes the
    // timestamps it has; one that has it on first then has no file for older ids, and panics when
    // a transaction of theirs is committed (pg_commit_ts).
    out.emplace_back("track_commit_timestamp", setup.track_commit_timestamp ? "on" : "off");
    out.emplace_back("shared_buffers", "256MB");
    // The server's own defaults, which must hold two segments. initdb writes larger ones into the
    // file that is not in force here, where segments are larger.
    const std::uint64_t segment_mb = setup.wal_segment_size >> 20;
    out.emplace_back("min_wal_size",
                     fmt::format("{}MB", std::max<std::uint64_t>(80, 2 * segment_mb)));
    out.emplace_back("max_wal_size",
                     fmt::format("{}MB", std::max<std::uint64_t>(1024, 4 * segment_mb)));
    out.emplace_back("log_destination", "stderr");
    out.emplace_back("logging_collector", "off");
    out.emplace_back("log_line_prefix", "%m [%p] ");
    out.emplace_back("log_timezone", "UTC");
    // We read these messages.
    out.emplace_back("lc_messages", "C");
    if (setup.purpose == ServerPurpose::keep) return;
    // Before it recovers, the server makes durable what it finds. The restore did that already, by
    // the same system call; an fsync per file would be thousands.
    if (setup.major >= 14) out.emplace_back("recovery_init_sync_method", "syncfs");
    out.emplace_back("log_min_messages", "warning");
    if (setup.major >= 15) out.emplace_back("log_startup_progress_interval", "1s");
}

void add_recovery(Settings& out, const ServerSetup& setup)
{
    if (setup.purpose != ServerPurpose::recover && setup.purpose != ServerPurpose::promote) return;
    const auto& goal = setup.goal;
    out.emplace_back("restore_command", setup.restore_command);
    // "latest" would follow a history file that another restore put there.
    out.emplace_back("recovery_target_timeline", std::to_string(goal.epoch));
    out.emplace_back("recovery_target_inclusive", "off");
    if (goal.position) {
        out.emplace_back("recovery_target_lsn", model::format_offset(*goal.position));
    }
    if (goal.time) {
        // "Z" is an abbreviation, which the server does not know yet when it reads this.
        auto time = base::format_time(*goal.time);
        time.replace(time.size() - 1, 1, "+00");
        out.emplace_back("recovery_target_time", time);
    }
    if (goal.name) out.emplace_back("recovery_target_name", *goal.name);
    // Else it would end where recovery becomes consistent, at a folder where links are usual.
    if (setup.tablespaces_inside) out.emplace_back("allow_in_place_tablespaces", "on");
    out.emplace_back("recovery_target_action",
                     setup.purpose == ServerPurpose::recover ? "shutdown" : "promote");
}

} // namespace

std::string larger_limit(const std::string& a, const std::string& b)
{
    return number_of(a) >= number_of(b) ? a : b;
}

std::string server_configuration(const ServerSetup& setup)
{
    CHECK(setup.major >= 13);
    CHECK(setup.purpose > ServerPurpose::promote || setup.goal.epoch != 0);
    Settings settings;
    add_place(settings, setup);
    add_silence(settings, setup);
    add_limits(settings, setup);
    add_durability_and_log(settings, setup);
    add_recovery(settings, setup);
    std::string text =
        setup.purpose == ServerPurpose::keep
            ? "# Written by tidemark: this restored server is in quarantine. The files of the\n"
              "# backup lie beside as *.from-backup.\n"
            : "# Written by tidemark for one restore; overwritten by the next step.\n";
    for (const auto& [name, value] : settings)
        text += conf_line(name, value);
    return text;
}

std::string private_hba()
{
    return "# Written by tidemark. The socket's folder admits its owner and root only.\n"
           "local all all trust\n";
}

} // namespace tidemark::engine::postgres
