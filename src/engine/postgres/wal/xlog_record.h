#pragma once

#include "engine/postgres/wal/record.h"

#include "base/clock.h"

#include <optional>
#include <string>
#include <string_view>

/// Records of the log manager itself. Each decoder expects a record of its kind and returns nothing
/// when the data are not what the kind says.
namespace tidemark::engine::postgres::wal {

/// pg_create_restore_point (xl_restore_point).
struct RestorePoint {
    base::Time at;
    std::string_view name; ///< into the record
};
std::optional<RestorePoint> decode_restore_point(const Record& record);

/// The prefix and the text of the transactional logical message by which we make a server flush. It
/// is how the transaction is known as ours in the log: nobody else writes this prefix.
inline constexpr std::string_view kFlushPrefix = "tidemark";
inline constexpr std::string_view kFlushText = "flush";
/// Is it that message (xl_logical_message)?
bool is_forced_flush(const Record& record);

/// Settings that replay depends on (xl_parameter_change).
struct ParameterChange {
    std::int32_t max_connections = 0;
    std::int32_t max_worker_processes = 0;
    std::int32_t max_wal_senders = 0;
    std::int32_t max_prepared_transactions = 0;
    std::int32_t max_locks_per_transaction = 0;
    std::int32_t wal_level = 0; ///< 0 minimal, 1 replica, 2 logical

    bool minimal() const { return wal_level < 1; }
    /// "max_connections=100 ... wal_level=replica", as a configuration would say it.
    std::string text() const;
};
std::optional<ParameterChange> decode_parameter_change(const Record& record);

/// A new timeline begins (xl_end_of_recovery).
struct EndOfRecovery {
    base::Time at;
    model::Epoch timeline = 0;
    model::Epoch previous_timeline = 0;
};
std::optional<EndOfRecovery> decode_end_of_recovery(const Record& record);

/// Online or shutdown (the head of CheckPoint).
struct Checkpoint {
    model::Offset redo = 0;
    model::Epoch timeline = 0;
    model::Epoch previous_timeline = 0; ///< differs from timeline where a new one begins
    bool full_page_writes = false;
};
std::optional<Checkpoint> decode_checkpoint(const Record& record);

} // namespace tidemark::engine::postgres::wal
