#include "engine/postgres/backup_control.h"

#include "base/error.h"
#include "engine/postgres/config_capture.h"

#include <charconv>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

std::uint64_t unsigned_of(std::string_view text, std::string_view what)
{
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw Error{Code::failed, fmt::format("the server's {} is not a number: {}", what, text)};
    }
    return value;
}

/// "START TIMELINE: 3" of a backup label; 0 when there is none.
model::Epoch label_timeline(std::string_view label)
{
    constexpr std::string_view kKey = "START TIMELINE: ";
    auto at = label.find(kKey);
    if (at == std::string_view::npos) return 0;
    model::Epoch epoch = 0;
    std::from_chars(label.data() + at + kKey.size(), label.data() + label.size(), epoch);
    return epoch;
}

} // namespace

BackupControl::BackupControl(const MemberConfig& member)
    : connection_(Connection::open(member.url, {.application_name = "tidemark backup"}))
{
    ask_server();
}

void BackupControl::ask_server()
{
    server_.version_num = connection_.server_version();
    if (server_.version_num < 130000) {
        throw Error{
            Code::member_not_ready,
            fmt::format("the server has version {}", connection_.parameter("server_version")),
            {.hint = "PostgreSQL 13 to 18 are supported"}};
    }
    auto rows = connection_.exec(
        "SELECT s.system_identifier::text, pg_catalog.pg_is_in_recovery(), "
        "pg_catalog.current_setting('data_checksums'), pg_catalog.current_setting('block_size'), "
        "(SELECT setting FROM pg_catalog.pg_settings WHERE name = 'segment_size'), "
        "pg_catalog.has_function_privilege("
        "'pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)', 'EXECUTE') "
        "FROM pg_catalog.pg_control_system() s");
    server_.system_id = unsigned_of(rows.get(0, 0), "system identifier");
    server_.in_recovery = rows.boolean(0, 1).value_or(false);
    server_.page_checksums = rows.get(0, 2) == "on";
    if (rows.get(0, 3) != "8192") {
        throw Error{Code::member_not_ready,
                    fmt::format("the server was built with pages of {} bytes", rows.get(0, 3)),
                    {.hint = "only pages of 8192 bytes are supported"}};
    }
    server_.may_read_files = rows.boolean(0, 5).value_or(false);
    server_.segment_pages = static_cast<std::uint32_t>(unsigned_of(rows.get(0, 4), "segment_size"));
}

BackupBegin BackupControl::start(const BackupOptions& options)
{
    std::lock_guard lock{mutex_};
    const char* sql = server_.version_num >= 150000
                          ? "SELECT pg_catalog.pg_backup_start($1, $2::boolean)"
                          : "SELECT pg_catalog.pg_start_backup($1, $2::boolean, false)";
    auto rows =
        connection_.exec_params(sql, {options.label, options.fast_checkpoint ? "true" : "false"},
                                Wait::within(kCheckpointPatience));
    auto start = rows.lsn(0, 0);
    if (!start) throw Error{Code::failed, "the server started a backup without a position"};
    auto control = connection_.exec("SELECT checkpoint_lsn, redo_lsn, timeline_id "
                                    "FROM pg_catalog.pg_control_checkpoint()");
    auto epoch = static_cast<model::Epoch>(control.integer(0, 2).value_or(0));
    BackupBegin begin;
    begin.start = {epoch, *start};
    begin.checkpoint = {epoch, control.lsn(0, 1) == start ? control.lsn(0, 0).value_or(0) : 0};
    return begin;
}

BackupControl::Stopped BackupControl::stop()
{
    std::lock_guard lock{mutex_};
    const char* sql =
        server_.version_num >= 150000
            ? "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(false)"
            : "SELECT lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false, false)";
    auto rows = connection_.exec(sql, Wait::within(kCheckpointPatience));
    auto lsn = rows.lsn(0, 0);
    if (!lsn || rows.is_null(0, 1)) {
        throw Error{Code::failed, "the server ended the backup without a label"};
    }
    Stopped stopped;
    stopped.backup_label = rows.get(0, 1);
    stopped.tablespace_map = rows.get(0, 2);
    stopped.stop = {label_timeline(stopped.backup_label), *lsn};
    return stopped;
}

model::Offset BackupControl::log_end()
{
    std::lock_guard lock{mutex_};
    auto rows = connection_.exec(server_.in_recovery
                                     ? "SELECT greatest(pg_catalog.pg_last_wal_receive_lsn(), "
                                       "pg_catalog.pg_last_wal_replay_lsn())"
                                     : "SELECT pg_catalog.pg_current_wal_insert_lsn()");
    return rows.lsn(0, 0).value_or(0);
}

BackupFacts BackupControl::facts(bool local)
{
    std::lock_guard lock{mutex_};
    auto reader = server_reader(connection_);
    return collect_facts(connection_, local ? local_reader(reader) : reader);
}

std::map<std::string, std::string> BackupControl::tablespaces()
{
    std::lock_guard lock{mutex_};
    auto rows = connection_.exec("SELECT oid::text, spcname FROM pg_catalog.pg_tablespace "
                                 "WHERE oid NOT IN (1663, 1664)");
    std::map<std::string, std::string> out;
    for (int i = 0; i < rows.rows(); ++i)
        out.emplace(rows.get(i, 0), rows.get(i, 1));
    return out;
}

std::optional<base::Bytes> BackupControl::read_file(const std::string& path, std::uint64_t offset,
                                                    std::size_t size)
{
    std::lock_guard lock{mutex_};
    if (!server_.may_read_files) return std::nullopt;
    try {
        auto rows = connection_.exec_binary(
            "SELECT pg_catalog.pg_read_binary_file($1, $2::bigint, $3::bigint, true)",
            {path, std::to_string(offset), std::to_string(size)});
        if (rows.rows() != 1 || rows.is_null(0, 0)) return base::Bytes{}; // the file is gone
        auto bytes = rows.bytes(0, 0);
        return base::Bytes{bytes.begin(), bytes.end()};
    } catch (const SqlError&) {
        if (connection_.broken()) throw;
        return std::nullopt;
    }
}

} // namespace tidemark::engine::postgres
