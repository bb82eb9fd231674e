#include "engine/postgres/session.h"

#include "engine/postgres/checks.h"
#include "engine/postgres/log_source.h"
#include "engine/postgres/replication.h"
#include "engine/postgres/servers.h"
#include "engine/postgres/slot.h"
#include "engine/postgres/slot_bound.h"
#include "engine/postgres/standbys.h"
#include "engine/postgres/versions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <thread>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

// What recovery compares with its own settings (pg_control), and what an operator asks about.
constexpr const char* kSettingsQuery = R"sql(
SELECT name, current_setting(name) FROM pg_settings WHERE name IN (
  'max_connections', 'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders',
  'max_locks_per_transaction', 'wal_level', 'wal_log_hints', 'track_commit_timestamp',
  'shared_preload_libraries', 'full_page_writes', 'fsync', 'max_slot_wal_keep_size',
  'max_replication_slots', 'wal_sender_timeout', 'server_encoding', 'block_size',
  'wal_block_size', 'synchronous_standby_names', 'hot_standby', 'config_file', 'hba_file',
  'ident_file', 'cluster_name', 'archive_mode', 'port', 'unix_socket_directories',
  'idle_replication_slot_timeout', 'data_directory'))sql";

constexpr const char* kIdentityQuery = R"sql(
SELECT (SELECT system_identifier FROM pg_control_system()),
       i.bytes_per_wal_segment, i.database_block_size, i.data_page_checksum_version,
       current_setting('server_version'), pg_is_in_recovery()
  FROM pg_control_init() i)sql";

constexpr const char* kPositionQuery = R"sql(
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_insert_lsn() END,
       CASE WHEN pg_is_in_recovery() THEN NULL
            ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END)sql";

constexpr const char* kPreparedQuery = R"sql(
SELECT p.transaction::text::bigint, p.gid,
       (extract(epoch FROM p.prepared) * 1000000)::bigint,
       p.owner, p.database, r.oid::bigint, d.oid::bigint
  FROM pg_prepared_xacts p
  LEFT JOIN pg_roles r ON r.rolname = p.owner
  LEFT JOIN pg_database d ON d.datname = p.database
 ORDER BY p.prepared, p.gid)sql";

std::uint32_t u32(std::optional<std::int64_t> value)
{
    if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max()) return 0;
    return static_cast<std::uint32_t>(*value);
}

base::Time time_of(std::optional<std::int64_t> microseconds)
{
    return base::Time{std::chrono::microseconds{microseconds.value_or(0)}};
}

Error in_recovery(const std::string& where)
{
    return {Code::member_not_ready,
            fmt::format("{} is a standby", where),
            {.hint = "let the member's url name all its servers, postgresql://a,b/...: whichever "
                     "accepts writes is the member"}};
}

} // namespace

PostgresSession::PostgresSession(const MemberConfig& member, Connection sql,
                                 std::vector<ServerUrl> others, StartBackup start_backup)
    : member_(member), sql_(std::move(sql)), others_(std::move(others)),
      start_backup_(std::move(start_backup))
{
}

std::unique_ptr<PostgresSession> PostgresSession::connect(const MemberConfig& member,
                                                          StartBackup start_backup)
{
    ConnectOptions options;
    options.encoding = "SQL_ASCII"; // gids are bytes, the same as in the log
    auto deadline = steady_clock::time_point::max();
    if (member.within.count() > 0) {
        options.timeout = std::min(options.timeout, member.within);
        deadline = steady_clock::now() + member.within;
    }
    Reached reached = reach_member(member, options);
    Connection sql = std::move(reached.sql);
    sql.set_deadline(deadline);
    MemberConfig pinned = member;
    pinned.url = reached.server.conninfo;
    pinned.more_urls.clear();
    // After a failover the files that we can read are those of another server.
    if (!reached.others.empty() && pinned.data_dir && !runs_on(sql, *pinned.data_dir))
        pinned.data_dir.reset();
    const int major = sql.server_version() / 10000;
    if (major < kOldestMajor || major > kNewestMajor)
        throw Error{Code::member_not_ready,
                    fmt::format("{} runs PostgreSQL {}", sql.description(),
                                sql.parameter("server_version")),
                    {.hint = fmt::format("this tidemark knows PostgreSQL {} to {}", kOldestMajor,
                                         kNewestMajor)}};
    // Parsed now, so that a mark pays for the execution only.
    sql.exec("PREPARE tidemark_point(text) AS SELECT pg_create_restore_point($1)");
    std::unique_ptr<PostgresSession> session(new PostgresSession(
        pinned, std::move(sql), std::move(reached.others), std::move(start_backup)));
    session->deadline_ = deadline;
    return session;
}

Connection PostgresSession::open_replication() const
{
    ConnectOptions options{.replication = true};
    options.timeout =
        std::clamp(std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady_clock::now()),
                   std::chrono::milliseconds{0}, options.timeout);
    Connection connection = Connection::open(member_.url, options);
    connection.set_deadline(deadline_);
    return connection;
}

void PostgresSession::set_deadline(steady_clock::time_point deadline)
{
    deadline_ = deadline;
    sql_.set_deadline(deadline);
}

Identity PostgresSession::identify()
{
    Identity out;
    const Result row = sql_.exec(kIdentityQuery);
    out.system_id = row.text(0, 0).value_or("");
    out.version_num = sql_.server_version();
    out.log_segment_size = u32(row.integer(0, 1));
    out.page_size = u32(row.integer(0, 2));
    out.page_checksums = row.integer(0, 3).value_or(0) != 0;
    out.version = row.text(0, 4).value_or("");
    out.version = out.version.substr(0, out.version.find(' '));
    out.in_recovery = row.boolean(0, 5).value_or(false);
    // A power of two between 1 MiB and 1 GiB (xlog_internal.h).
    const std::uint32_t segment = out.log_segment_size;
    if (segment < (1U << 20) || segment > (1U << 30) || (segment & (segment - 1)) != 0)
        throw Error{Code::failed, fmt::format("{} says that its log segments have {} bytes",
                                              sql_.description(), segment)};
    const Result settings = sql_.exec(kSettingsQuery);
    for (int i = 0; i < settings.rows(); ++i)
        out.settings[std::string(settings.get(i, 0))] = std::string(settings.get(i, 1));
    // The server leaves out of pg_settings what we may not see.
    if (const auto it = out.settings.find("data_directory"); it != out.settings.end())
        out.data_directory = it->second;
    out.position = insert_position();
    return out;
}

model::Epoch PostgresSession::standby_epoch()
{
    Connection replication = open_replication();
    return identify_system(replication).flushed.epoch;
}

model::LogPosition PostgresSession::insert_position()
{
    const Result row = sql_.exec(kPositionQuery);
    const auto offset = row.lsn(0, 0);
    if (!offset)
        throw Error{Code::member_not_ready,
                    fmt::format("{} does not say where its log is", sql_.description())};
    if (row.is_null(0, 1)) return {standby_epoch(), *offset};
    const std::string_view hex = row.get(0, 1);
    model::Epoch epoch = 0;
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), epoch, 16);
    if (error != std::errc{} || end != hex.data() + hex.size() || epoch == 0)
        throw Error{Code::failed, fmt::format("{} names no timeline", sql_.description())};
    primary_epoch_ = epoch;
    return {epoch, *offset};
}

PlacedPoint PostgresSession::place_restore_point(const std::string& name)
{
    if (name.empty() || name.size() > 63)
        throw Error{Code::usage,
                    fmt::format("a restore point's name has 1 to 63 bytes, not {}", name.size())};
    try {
        const Result row =
            sql_.exec(fmt::format("EXECUTE tidemark_point({})", Connection::literal(name)));
        const auto end = row.lsn(0, 0);
        if (!end) throw Error{Code::failed, sql_.description() + " placed no restore point"};
        if (primary_epoch_ == 0) insert_position();
        return {.end = {primary_epoch_, *end}};
    } catch (const SqlError& error) {
        if (error.sqlstate() == "55000") {
            if (sql_.exec("SELECT pg_is_in_recovery()").boolean(0, 0).value_or(false))
                throw in_recovery(sql_.description());
            throw Error{Code::member_not_ready,
                        error.message(),
                        {.hint = "set wal_level = replica and restart the server"}};
        }
        throw;
    }
}

void PostgresSession::ensure_flushed(model::Offset offset, steady_clock::time_point deadline)
{
    constexpr const char* kFlushed =
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() "
        "ELSE pg_current_wal_flush_lsn() END, pg_is_in_recovery()";
    bool forced = false;
    auto pause = std::chrono::milliseconds{1};
    while (true) {
        const Result row = sql_.exec(kFlushed, {.deadline = deadline});
        if (row.lsn(0, 0).value_or(0) >= offset) return;
        if (!forced && !row.boolean(0, 1).value_or(false)) {
            // Only a commit that wrote something flushes (an xid alone does not), and a message
            // writes no data. synchronous_commit=local: no standby holds us up.
            // It is known by its prefix and text in the log (wal::is_forced_flush).
            sql_.exec("SELECT pg_logical_emit_message(true, 'tidemark', 'flush')",
                      {.deadline = deadline});
            forced = true;
            continue;
        }
        std::this_thread::sleep_for(std::min(
            pause, std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now())));
        if (steady_clock::now() >= deadline)
            throw Error{Code::member_not_ready,
                        fmt::format("the log of {} is not durable up to {} in time",
                                    sql_.description(), model::format_offset(offset)),
                        {.hint = "its disk is slow or stuck; allow more time (mark.wait)",
                         .transient = true}};
        pause = std::min(pause * 2, std::chrono::milliseconds{20});
    }
}

base::Time PostgresSession::clock()
{
    const Result row =
        sql_.exec("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    return time_of(row.integer(0, 0));
}

std::vector<PreparedBranch> PostgresSession::prepared()
{
    std::vector<PreparedBranch> out;
    const Result rows = sql_.exec(kPreparedQuery);
    for (int i = 0; i < rows.rows(); ++i)
        out.push_back({.xid = u32(rows.integer(i, 0)),
                       .gid = rows.text(i, 1).value_or(""),
                       .prepared = time_of(rows.integer(i, 2)),
                       .owner = rows.text(i, 3).value_or(""),
                       .database = rows.text(i, 4).value_or(""),
                       .owner_oid = u32(rows.integer(i, 5)),
                       .database_oid = u32(rows.integer(i, 6))});
    return out;
}

SlotState PostgresSession::slot()
{
    require_slot_name(member_.slot);
    auto state = read_slot(sql_, member_.slot);
    state.disk_free = free_beside_log(member_);
    return state;
}

model::LogPosition PostgresSession::create_slot()
{
    const model::Offset restart = postgres::create_slot(sql_, member_.slot);
    // Right after a promotion the slot can begin on the parent timeline.
    const model::Epoch current = insert_position().epoch;
    if (current == 1) return {1, restart};
    Connection replication = open_replication();
    return {server_history(replication, current).epoch_at(restart), restart};
}

void PostgresSession::drop_slot()
{
    require_slot_name(member_.slot);
    postgres::drop_slot(sql_, member_.slot);
}

std::vector<Standby> PostgresSession::standbys(const StandbyOrder& order)
{
    if (others_.empty()) return {};
    require_slot_name(member_.slot);
    const Result id = sql_.exec("SELECT system_identifier::text FROM pg_control_system()");
    return care_for_standbys({.servers = others_,
                              .slot = member_.slot,
                              .system_id = std::string(id.get(0, 0)),
                              .bounded = read_slot(sql_, member_.slot).bound_bytes.has_value(),
                              .order = order});
}

std::vector<OwnSlot> PostgresSession::own_slots()
{
    return read_own_slots(sql_);
}

std::optional<std::string> PostgresSession::history_file(model::Epoch epoch)
{
    if (epoch <= 1) return std::nullopt;
    Connection replication = open_replication();
    return timeline_history(replication, epoch);
}

std::unique_ptr<LogSource> PostgresSession::open_log(const model::LogPosition& from)
{
    LogSourceOptions options;
    if (deadline_ != steady_clock::time_point::max())
        options.patience = std::clamp(
            std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady_clock::now()),
            std::chrono::milliseconds{0}, options.patience);
    return PostgresLogSource::open(member_, from, options);
}

std::unique_ptr<BackupSource> PostgresSession::begin_backup(const BackupOptions& options)
{
    return start_backup_(member_, options);
}

std::vector<Check> PostgresSession::check()
{
    std::vector<Check> out = run_checks(sql_, member_);
    const auto sent = steady_clock::now();
    const base::Time server = clock();
    const auto round_trip = std::chrono::duration_cast<base::Duration>(steady_clock::now() - sent);
    const base::Time here =
        std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
    out.push_back(check_clock(server - (here - round_trip / 2), round_trip));
    out.push_back(check_orphans(prepared(), server));
    for (const Standby& standby : standbys({}))
        out.push_back(check_standby(standby));
    return out;
}

} // namespace tidemark::engine::postgres
