#pragma once

#include "base/bytes.h"
#include "model/log_position.h"

#include <cstdint>
#include <string_view>

/// global/pg_control of PostgreSQL 13 to 18 (catalog/pg_control.h): one little-endian structure
/// with a CRC-32C behind its last field.
namespace tidemark::engine::postgres {

/// In the data directory.
inline constexpr const char* kControlPath = "global/pg_control";
/// Bytes that hold the structure in every version; the file is padded to 8192.
inline constexpr std::size_t kControlFileSize = 8192;

enum class ClusterState : std::uint32_t {
    starting_up = 0,
    shut_down = 1,
    shut_down_in_recovery = 2,
    shutting_down = 3,
    in_crash_recovery = 4,
    in_archive_recovery = 5,
    in_production = 6,
};
std::string_view cluster_state_name(ClusterState state);

enum class WalLevel : std::uint32_t { minimal = 0, replica = 1, logical = 2 };

struct ControlFile {
    std::uint64_t system_id = 0;
    std::uint32_t control_version = 0; ///< 1300, 1700, 1800
    std::uint32_t catalog_version = 0; ///< part of the tablespaces' folder names
    ClusterState state = ClusterState::starting_up;
    model::LogPosition checkpoint;   ///< last checkpoint's record, on the checkpoint's timeline
    model::LogPosition redo;         ///< where replay from that checkpoint begins
    model::LogPosition min_recovery; ///< replay must come at least this far; 0 when it need not
    bool backup_end_required = false;
    WalLevel wal_level = WalLevel::replica;
    std::uint32_t max_connections = 0;
    std::uint32_t max_worker_processes = 0;
    std::uint32_t max_wal_senders = 0;
    std::uint32_t max_prepared_transactions = 0;
    std::uint32_t max_locks_per_transaction = 0;
    bool track_commit_timestamp = false;
    std::uint32_t page_size = 0;
    std::uint32_t segment_pages = 0; ///< pages in one file of a large relation
    std::uint32_t wal_page_size = 0;
    std::uint32_t wal_segment_size = 0; ///< bytes
    std::uint32_t checksum_version = 0; ///< 0: no page checksums
};

/// Reads the file's bytes. A wrong checksum is Error{failed, transient}: a running server rewrites
/// the file in place, so read it again. An unknown version is Error{member_not_ready}.
ControlFile parse_control_file(base::ByteView bytes);

} // namespace tidemark::engine::postgres
