#include "engine/postgres/control_file.h"

#include "base/error.h"
#include "stream/crc32c.h"

#include <fmt/format.h>
#include <optional>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

// Offsets in bytes; the same in all supported versions up to the CRC. Found by comparing
// pg_controldata with the bytes of clusters made by 13, 14, 15, 16, 17 and 18.
constexpr std::size_t kSystemId = 0;
constexpr std::size_t kControlVersion = 8;
constexpr std::size_t kCatalogVersion = 12;
constexpr std::size_t kState = 16;
constexpr std::size_t kCheckpoint = 32;
constexpr std::size_t kRedo = 40;
constexpr std::size_t kThisTimeline = 48;
constexpr std::size_t kMinRecovery = 136;
constexpr std::size_t kMinRecoveryTimeline = 144;
constexpr std::size_t kBackupEndRequired = 168;
constexpr std::size_t kWalLevel = 172;
constexpr std::size_t kMaxConnections = 180;
constexpr std::size_t kMaxWorkers = 184;
constexpr std::size_t kMaxSenders = 188;
constexpr std::size_t kMaxPrepared = 192;
constexpr std::size_t kMaxLocks = 196;
constexpr std::size_t kTrackCommitTimestamp = 200;
constexpr std::size_t kPageSizeAt = 216;
constexpr std::size_t kSegmentPages = 220;
constexpr std::size_t kWalPageSize = 224;
constexpr std::size_t kWalSegmentSize = 228;
constexpr std::size_t kChecksumVersion = 252;

/// Where the CRC stands: behind the authentication nonce, which 18 moved by a flag and its padding.
std::optional<std::size_t> crc_offset(std::uint32_t version)
{
    switch (version) {
    case 1300:
    case 1700:
        return 288;
    case 1800:
        return 292;
    default:
        return std::nullopt;
    }
}

bool is_power_of_two(std::uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

void check_sizes(const ControlFile& file)
{
    bool sane = is_power_of_two(file.page_size) && file.page_size <= 32768 &&
                is_power_of_two(file.wal_page_size) && file.wal_page_size <= 65536 &&
                is_power_of_two(file.wal_segment_size) && file.wal_segment_size >= (1U << 20) &&
                file.wal_segment_size <= (1U << 30) && file.segment_pages != 0;
    if (!sane) throw Error{Code::failed, "the control file (pg_control) holds impossible sizes"};
}

} // namespace

std::string_view cluster_state_name(ClusterState state)
{
    switch (state) {
    case ClusterState::starting_up:
        return "starting up";
    case ClusterState::shut_down:
        return "shut down";
    case ClusterState::shut_down_in_recovery:
        return "shut down in recovery";
    case ClusterState::shutting_down:
        return "shutting down";
    case ClusterState::in_crash_recovery:
        return "in crash recovery";
    case ClusterState::in_archive_recovery:
        return "in archive recovery";
    case ClusterState::in_production:
        return "in production";
    }
    return "unknown";
}

ControlFile parse_control_file(base::ByteView bytes)
{
    if (bytes.size() < 296) {
        throw Error{Code::failed,
                    fmt::format("the control file (pg_control) has only {} bytes", bytes.size()),
                    {.transient = true}};
    }
    auto u32 = [&](std::size_t at) { return base::load_u32(bytes.data() + at); };
    auto u64 = [&](std::size_t at) { return base::load_u64(bytes.data() + at); };

    ControlFile file;
    file.control_version = u32(kControlVersion);
    auto crc_at = crc_offset(file.control_version);
    if (!crc_at) {
        throw Error{Code::member_not_ready,
                    fmt::format("the control file (pg_control) has version {}, which is not known",
                                file.control_version),
                    {.hint = "PostgreSQL 13 to 18 are supported"}};
    }
    if (stream::crc32c(bytes.first(*crc_at)) != u32(*crc_at)) {
        throw Error{Code::failed,
                    "the control file (pg_control) has a wrong checksum",
                    {.transient = true}};
    }
    file.system_id = u64(kSystemId);
    file.catalog_version = u32(kCatalogVersion);
    if (u32(kState) > 6) {
        throw Error{Code::failed, fmt::format("pg_control: unknown state {}", u32(kState))};
    }
    file.state = static_cast<ClusterState>(u32(kState));
    model::Epoch timeline = u32(kThisTimeline);
    file.checkpoint = {timeline, u64(kCheckpoint)};
    file.redo = {timeline, u64(kRedo)};
    file.min_recovery = {u32(kMinRecoveryTimeline), u64(kMinRecovery)};
    file.backup_end_required = bytes[kBackupEndRequired] != std::byte{0};
    if (u32(kWalLevel) > 2) {
        throw Error{Code::failed, fmt::format("pg_control: unknown wal_level {}", u32(kWalLevel))};
    }
    file.wal_level = static_cast<WalLevel>(u32(kWalLevel));
    file.max_connections = u32(kMaxConnections);
    file.max_worker_processes = u32(kMaxWorkers);
    file.max_wal_senders = u32(kMaxSenders);
    file.max_prepared_transactions = u32(kMaxPrepared);
    file.max_locks_per_transaction = u32(kMaxLocks);
    file.track_commit_timestamp = bytes[kTrackCommitTimestamp] != std::byte{0};
    file.page_size = u32(kPageSizeAt);
    file.segment_pages = u32(kSegmentPages);
    file.wal_page_size = u32(kWalPageSize);
    file.wal_segment_size = u32(kWalSegmentSize);
    file.checksum_version = u32(kChecksumVersion);
    check_sizes(file);
    return file;
}

} // namespace tidemark::engine::postgres
