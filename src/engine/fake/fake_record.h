#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string>

/// The fake engine's log: records one after the other, none across the end of a segment, so that a
/// segment boundary is always a record's start. Little-endian:
///
///   0  u32 length of the whole record, a multiple of 8
///   4  u32 FNV-1a of everything behind it; kFillerSum marks a filler of zeros
///   8  u8  kind, then three zero bytes
///   12 u32 transaction id
///   16 i64 time, microseconds since 1970
///   24 u32 database, 28 u32 owner
///   32 u32 length of the text, 36 the text, zeros up to a multiple of 8
///
/// As in PostgreSQL the end of a prepared transaction carries its xid only, not its gid.
namespace tidemark::engine::fake {

enum class RecordKind : std::uint8_t {
    filler = 0, ///< rest of a segment
    noise = 1,
    prepare = 2,
    commit_prepared = 3,
    rollback_prepared = 4,
    commit = 5,
    rollback = 6,
    restore_point = 7,
    checkpoint = 8,
    minimal = 9, ///< wal_level became minimal: no recovery gets past it
};

struct Record {
    RecordKind kind = RecordKind::noise;
    std::uint32_t xid = 0;
    base::Time at = {};
    std::uint32_t database = 0;
    std::uint32_t owner = 0;
    std::string text = {}; ///< gid, name of the restore point, or anything
    friend bool operator==(const Record&, const Record&) = default;
};

inline constexpr std::size_t kMaxText = 16 << 10;

base::Bytes encode_record(const Record& record);
/// `size` is a multiple of 8, at least 8.
base::Bytes encode_filler(std::size_t size);

struct Decoded {
    Record record;
    std::size_t size = 0;
};
/// The record at the beginning of `bytes`; absent while it is incomplete. Broken bytes are
/// Error{failed}.
std::optional<Decoded> decode_record(base::ByteView bytes);

} // namespace tidemark::engine::fake
