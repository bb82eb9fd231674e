#pragma once

#include "engine/postgres/wal/layout.h"
#include "engine/postgres/wal/status.h"

#include "base/bytes.h"
#include "model/log_position.h"

#include <array>
#include <span>

namespace tidemark::engine::postgres::wal {

/// XLR_MAX_BLOCK_ID + 1: a record touches at most this many blocks.
constexpr std::size_t kMaxBlocks = 33;

/// Forks of a relation, as numbered in the log.
enum class Fork : std::uint8_t { main = 0, free_space = 1, visibility = 2, init = 3 };

/// A relation's file: tablespace, database (0: shared), file number.
struct RelationFile {
    std::uint32_t tablespace = 0;
    std::uint32_t database = 0;
    std::uint32_t number = 0;
    friend bool operator==(const RelationFile&, const RelationFile&) = default;
};

/// A block that a record changes.
struct BlockRef {
    RelationFile file;
    std::uint32_t block = 0;
    std::uint32_t image_length = 0; ///< bytes of the full-page image as stored
    std::uint16_t data_length = 0;
    std::uint8_t id = 0;
    Fork fork = Fork::main;
    bool has_image = false;
};

/// A complete, checked record. Views are valid during the call that hands it over.
struct Record {
    model::Offset start = 0;
    model::Offset end = 0; ///< where the next one may begin: what PostgreSQL calls the record's end
    model::Offset previous = 0; ///< start of the record before; 0 for the first of a cluster
    std::uint32_t length = 0;   ///< with its header, without page headers and padding
    std::uint32_t xid = 0;
    std::uint8_t manager = 0; ///< resource manager
    std::uint8_t info = 0;    ///< all eight bits
    std::uint8_t block_count = 0;
    std::uint32_t images = 0;      ///< blocks with a full-page image
    std::uint32_t image_bytes = 0; ///< their stored bytes
    base::ByteView main_data;
    std::array<BlockRef, kMaxBlocks> block_refs; ///< the first block_count count

    std::span<const BlockRef> blocks() const { return {block_refs.data(), block_count}; }
    std::uint8_t kind() const { return info & kInfoMask; }
    bool is(XlogInfo what) const
    {
        return manager == kXlog && kind() == static_cast<std::uint8_t>(what);
    }
};

/// The fixed header of a record; `bytes` must hold kRecordHeader bytes.
struct RecordHeader {
    std::uint32_t length = 0;
    std::uint32_t xid = 0;
    model::Offset previous = 0;
    std::uint8_t info = 0;
    std::uint8_t manager = 0;
    std::uint32_t crc = 0;
};
RecordHeader load_record_header(const std::byte* bytes);

constexpr bool valid_record_length(std::uint32_t length)
{
    return length >= kRecordHeader && length <= kMaxRecord;
}

/// Checks the CRC of `bytes` (the whole record, its header included) and takes it apart into
/// `record`; start and end are the caller's to set.
Fault parse_record(const Layout& layout, base::ByteView bytes, Record& record);

} // namespace tidemark::engine::postgres::wal
