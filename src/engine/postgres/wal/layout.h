#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

/// Where things lie in PostgreSQL's write-ahead log, versions 13 to 18. All integers are in the
/// server's byte order; only little-endian servers are read. Sources, in PostgreSQL's tree:
/// src/include/access/{xlog_internal,xlogrecord,xact,rmgrlist}.h, src/include/catalog/pg_control.h,
/// src/backend/access/transam/twophase.c; each checked against real servers of all six versions.
namespace tidemark::engine::postgres::wal {

/// XLOG_BLCKSZ; other values need a server built specially.
constexpr std::uint32_t kPageSize = 8192;
/// Every record begins at a multiple of this (MAXALIGN).
constexpr std::uint32_t kAlignment = 8;
constexpr std::uint32_t kMinSegmentSize = 1U << 20;
constexpr std::uint32_t kMaxSegmentSize = 1U << 30;

/// Positions above this are refused, so that no sum with a length can wrap.
constexpr std::uint64_t kMaxPosition = std::uint64_t{1} << 62;

constexpr std::uint64_t align_up(std::uint64_t value)
{
    return (value + kAlignment - 1) & ~std::uint64_t{kAlignment - 1};
}

/// XLogPageHeaderData: u16 magic, u16 info, u32 timeline, u64 address, u32 remaining, 4 unused.
/// The first page of a segment adds u64 system id, u32 segment size, u32 page size.
constexpr std::uint32_t kShortPageHeader = 24;
constexpr std::uint32_t kLongPageHeader = 40;

/// XLogRecord: u32 length, u32 xid, u64 previous, u8 info, u8 resource manager, 2 zero, u32 CRC.
constexpr std::uint32_t kRecordHeader = 24;
constexpr std::uint32_t kRecordCrcAt = 20;
/// XLogRecordMaxSize is 1020 MiB since 16; before, records were bound by 1 GiB - 1 allocations.
constexpr std::uint32_t kMaxRecord = (1U << 30) - 1;

/// Resource managers that the reader looks into; the last is the highest number 13 to 18 know.
enum ResourceManager : std::uint8_t {
    kXlog = 0,
    kTransaction = 1,
    kTablespace = 5,
    kLastBuiltIn = 21,
    kFirstCustom = 128, ///< 15 and later
};

/// The part of a record's info byte that belongs to its resource manager.
constexpr std::uint8_t kInfoMask = 0xF0;

enum class XlogInfo : std::uint8_t {
    checkpoint_shutdown = 0x00,
    checkpoint_online = 0x10,
    log_switch = 0x40,
    parameter_change = 0x60,
    restore_point = 0x70,
    end_of_recovery = 0x90,
    overwrite_contrecord = 0xD0, ///< 15, and minor versions of 13 and 14
};

/// What differs from version to version.
struct Layout {
    int major = 0;
    std::uint16_t page_magic = 0;
    std::uint32_t prepare_header = 0;     ///< sizeof(xl_xact_prepare); the gid follows it
    std::uint32_t gid_length_at = 0;      ///< in xl_xact_prepare
    std::uint8_t image_compressed = 0;    ///< BKPIMAGE flags that mean "compressed"
    std::uint32_t dropped_stats_item = 0; ///< sizeof(xl_xact_stats_item); 0: there is none
    bool custom_managers = false;
};

inline constexpr Layout kLayouts[] = {
    {13, 0xD106, 64, 46, 0x02, 0, false}, {14, 0xD10D, 64, 46, 0x02, 0, false},
    {15, 0xD110, 72, 54, 0x1C, 12, true}, {16, 0xD113, 72, 54, 0x1C, 12, true},
    {17, 0xD116, 72, 54, 0x1C, 12, true}, {18, 0xD118, 72, 54, 0x1C, 16, true},
};

/// Null for versions that are not known.
constexpr const Layout* layout_of_major(int major)
{
    for (const Layout& layout : kLayouts)
        if (layout.major == major) return &layout;
    return nullptr;
}

constexpr const Layout* layout_of_magic(std::uint16_t magic)
{
    for (const Layout& layout : kLayouts)
        if (layout.page_magic == magic) return &layout;
    return nullptr;
}

constexpr bool valid_segment_size(std::uint32_t size)
{
    return size >= kMinSegmentSize && size <= kMaxSegmentSize && std::has_single_bit(size);
}

/// Unchecked load; `at` must have sizeof(T) readable bytes.
template <typename T> T load(const std::byte* at)
{
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

} // namespace tidemark::engine::postgres::wal
