#include "engine/postgres/wal/xlog_record.h"

#include "engine/postgres/wal/cursor.h"
#include "engine/postgres/wal/xact.h"

#include <array>
#include <fmt/format.h>

namespace tidemark::engine::postgres::wal {

namespace {

constexpr std::size_t kRestorePointName = 64; // MAXFNAMELEN, with its NUL

std::string wal_level_name(std::int32_t level)
{
    constexpr std::array<std::string_view, 3> kNames = {"minimal", "replica", "logical"};
    if (level >= 0 && level < static_cast<std::int32_t>(kNames.size()))
        return std::string(kNames[static_cast<std::size_t>(level)]);
    return fmt::format("{}", level);
}

} // namespace

std::optional<RestorePoint> decode_restore_point(const Record& record)
{
    Cursor cursor(record.main_data);
    std::int64_t at = 0;
    if (!cursor.read(at) || cursor.left() < kRestorePointName) return std::nullopt;
    auto name = base::as_text(cursor.rest().first(kRestorePointName));
    auto end = name.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return RestorePoint{.at = time_from_log(at), .name = name.substr(0, end)};
}

bool is_forced_flush(const Record& record)
{
    // database(4) transactional(1) zero(3) prefix length(8, with its NUL) text length(8)
    constexpr std::uint8_t kLogicalMessage = 21;
    if (record.manager != kLogicalMessage || record.xid == 0) return false;
    Cursor cursor(record.main_data);
    std::uint32_t database = 0;
    std::uint32_t transactional = 0;
    std::uint64_t prefix = 0;
    std::uint64_t text = 0;
    if (!cursor.read(database) || !cursor.read(transactional) || !cursor.read(prefix) ||
        !cursor.read(text))
        return false;
    auto rest = base::as_text(cursor.rest());
    return (transactional & 0xFFU) != 0 && prefix == kFlushPrefix.size() + 1 &&
           text == kFlushText.size() && rest.size() == prefix + text &&
           rest.starts_with(kFlushPrefix) && rest.ends_with(kFlushText);
}

std::string ParameterChange::text() const
{
    return fmt::format("max_connections={} max_worker_processes={} max_wal_senders={} "
                       "max_prepared_transactions={} max_locks_per_transaction={} wal_level={}",
                       max_connections, max_worker_processes, max_wal_senders,
                       max_prepared_transactions, max_locks_per_transaction,
                       wal_level_name(wal_level));
}

std::optional<ParameterChange> decode_parameter_change(const Record& record)
{
    Cursor cursor(record.main_data);
    ParameterChange change;
    if (!cursor.read(change.max_connections) || !cursor.read(change.max_worker_processes) ||
        !cursor.read(change.max_wal_senders) || !cursor.read(change.max_prepared_transactions) ||
        !cursor.read(change.max_locks_per_transaction) || !cursor.read(change.wal_level))
        return std::nullopt;
    return change;
}

std::optional<EndOfRecovery> decode_end_of_recovery(const Record& record)
{
    Cursor cursor(record.main_data);
    EndOfRecovery end;
    std::int64_t at = 0;
    if (!cursor.read(at) || !cursor.read(end.timeline) || !cursor.read(end.previous_timeline))
        return std::nullopt;
    end.at = time_from_log(at);
    return end;
}

std::optional<Checkpoint> decode_checkpoint(const Record& record)
{
    Cursor cursor(record.main_data);
    Checkpoint checkpoint;
    std::uint8_t full_page_writes = 0;
    if (!cursor.read(checkpoint.redo) || !cursor.read(checkpoint.timeline) ||
        !cursor.read(checkpoint.previous_timeline) || !cursor.read(full_page_writes))
        return std::nullopt;
    checkpoint.full_page_writes = full_page_writes != 0;
    return checkpoint;
}

} // namespace tidemark::engine::postgres::wal
