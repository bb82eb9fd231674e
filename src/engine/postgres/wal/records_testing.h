#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "engine/postgres/wal/layout.h"
#include "engine/postgres/wal/test_log.h"

#include <cstdint>
#include <string_view>

namespace tidemark::engine::postgres::wal {

// Records as servers write them, for TestLog.

inline constexpr std::int64_t kNoon = 860'000'000'000'000; ///< some microseconds since 2000

inline base::Time at(std::int64_t seconds)
{
    return base::from_postgres_time(kNoon + seconds * 1'000'000);
}

inline TestRecord xact(std::uint8_t info, const base::ByteWriter& main, std::uint32_t xid = 0)
{
    return {.manager = kTransaction, .info = info, .xid = xid, .main = main.bytes()};
}

inline TestRecord commit(std::int64_t seconds, std::uint32_t xid = 700)
{
    base::ByteWriter main;
    main.i64(kNoon + seconds * 1'000'000);
    return xact(0x00, main, xid);
}

inline TestRecord abort(std::int64_t seconds)
{
    TestRecord record = commit(seconds);
    record.info = 0x20;
    return record;
}

inline TestRecord prepare(int major, std::uint32_t xid, std::string_view gid,
                          std::uint32_t subxacts = 0)
{
    const Layout& layout = *layout_of_major(major);
    base::ByteWriter main;
    main.u32(0x57F94534);
    main.u32(0);
    main.u32(xid);
    main.u32(16384); // database
    main.i64(kNoon);
    main.u32(10); // owner
    main.u32(subxacts);
    main.raw(base::Bytes(layout.gid_length_at - main.size()));
    main.u16(static_cast<std::uint16_t>(gid.size() + 1));
    main.raw(base::Bytes(layout.prepare_header - main.size()));
    main.raw(base::as_bytes(gid));
    main.u8(0);
    main.raw(base::Bytes(subxacts * std::size_t{4}));
    return xact(0x10, main, xid);
}

/// COMMIT PREPARED or ROLLBACK PREPARED with every part that can precede the xid.
inline TestRecord finish(int major, bool committed, std::uint32_t xid, std::string_view gid)
{
    const Layout& layout = *layout_of_major(major);
    std::uint32_t info = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | (gid.empty() ? 0U : 0x80U) | 0x20;
    if (layout.dropped_stats_item != 0) info |= 0x100;
    base::ByteWriter main;
    main.i64(kNoon + 5'000'000);
    main.u32(info);
    main.raw(base::Bytes(8));
    main.u32(3);
    main.raw(base::Bytes(12));
    main.u32(2);
    main.raw(base::Bytes(24));
    if (layout.dropped_stats_item != 0) {
        main.u32(2);
        main.raw(base::Bytes(2 * std::size_t{layout.dropped_stats_item}));
    }
    if (committed) {
        main.u32(1);
        main.raw(base::Bytes(16));
    }
    main.u32(xid);
    if (!gid.empty()) {
        main.raw(base::as_bytes(gid));
        main.u8(0);
    }
    main.raw(base::Bytes(16)); // origin
    return xact(committed ? 0xB0 : 0xC0, main);
}

inline TestRecord restore_point(std::string_view name)
{
    base::ByteWriter main;
    main.i64(kNoon + 7'000'000);
    main.raw(base::as_bytes(name));
    main.raw(base::Bytes(64 - name.size()));
    return {.manager = kXlog, .info = 0x70, .main = main.bytes()};
}

inline TestRecord tablespace(std::uint32_t oid, std::string_view location)
{
    base::ByteWriter main;
    main.u32(oid);
    main.raw(base::as_bytes(location));
    main.u8(0);
    return {.manager = kTablespace, .info = 0x00, .xid = 600, .main = main.bytes()};
}

inline TestRecord parameters(std::uint32_t wal_level)
{
    base::ByteWriter main;
    for (std::uint32_t value : {100U, 8U, 10U, 64U, 128U, wal_level})
        main.u32(value);
    main.u16(0);
    return {.manager = kXlog, .info = 0x60, .main = main.bytes()};
}

} // namespace tidemark::engine::postgres::wal
