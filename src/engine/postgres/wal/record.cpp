#include "engine/postgres/wal/record.h"

#include "engine/postgres/wal/cursor.h"
#include "stream/crc32c.h"

namespace tidemark::engine::postgres::wal {

namespace {

/// What the id byte of a record's part says when it is not a block's number.
enum PartId : std::uint8_t {
    kTopLevelXid = 252, ///< u32; 14 and later
    kOrigin = 253,      ///< u16
    kDataLong = 254,    ///< u32 length of the main data
    kDataShort = 255,   ///< u8 length of the main data
};

/// Bits of a block header's second byte; the low four are the fork.
enum BlockFlag : std::uint8_t {
    kForkMask = 0x0F,
    kHasImage = 0x10,
    kHasData = 0x20,
    kWillInit = 0x40,
    kSameRelation = 0x80,
};

constexpr std::uint8_t kImageHasHole = 0x01;

/// XLogRecordBlockImageHeader: u16 length, u16 hole offset, u8 flags; a compressed image with a
/// hole adds u16 hole length.
bool read_image_header(const Layout& layout, Cursor& parts, BlockRef& block)
{
    std::uint16_t length = 0;
    std::uint16_t hole_offset = 0;
    std::uint8_t flags = 0;
    if (!parts.read(length) || !parts.read(hole_offset) || !parts.read(flags)) return false;
    block.image_length = length;
    bool compressed = (flags & layout.image_compressed) != 0;
    return !compressed || (flags & kImageHasHole) == 0 || parts.skip(2);
}

/// XLogRecordBlockHeader after its id: u8 fork and flags, u16 data length, [image header],
/// [relation unless the same as before], u32 block number.
bool read_block(const Layout& layout, Cursor& parts, const BlockRef* before, BlockRef& block)
{
    std::uint8_t flags = 0;
    if (!parts.read(flags) || !parts.read(block.data_length)) return false;
    if ((flags & kForkMask) > static_cast<std::uint8_t>(Fork::init)) return false;
    block.fork = static_cast<Fork>(flags & kForkMask);
    block.has_image = (flags & kHasImage) != 0;
    block.image_length = 0;
    if (((flags & kHasData) != 0) != (block.data_length != 0)) return false;
    if (block.has_image && !read_image_header(layout, parts, block)) return false;
    if ((flags & kSameRelation) != 0) {
        if (before == nullptr) return false;
        block.file = before->file;
    } else if (!parts.read(block.file.tablespace) || !parts.read(block.file.database) ||
               !parts.read(block.file.number)) {
        return false;
    }
    return parts.read(block.block);
}

/// Reads part headers until what is left is exactly the data they announce.
bool read_parts(const Layout& layout, Cursor& parts, Record& record)
{
    std::uint64_t announced = 0;
    std::uint32_t main_length = 0;
    bool main_seen = false;
    while (!main_seen && parts.left() > announced) {
        std::uint8_t id = 0;
        if (!parts.read(id)) return false;
        if (id < kMaxBlocks) {
            BlockRef* before =
                record.block_count == 0 ? nullptr : &record.block_refs[record.block_count - 1U];
            if (before != nullptr && id <= before->id) return false;
            BlockRef& block = record.block_refs[record.block_count];
            block.id = id;
            if (!read_block(layout, parts, before, block)) return false;
            ++record.block_count;
            record.images += block.has_image ? 1 : 0;
            record.image_bytes += block.image_length;
            announced += block.image_length + std::uint64_t{block.data_length};
        } else if (id == kDataShort) {
            std::uint8_t length = 0;
            if (!parts.read(length)) return false;
            main_length = length;
            main_seen = true;
        } else if (id == kDataLong) {
            if (!parts.read(main_length)) return false;
            main_seen = true;
        } else if (id == kOrigin) {
            if (!parts.skip(sizeof(std::uint16_t))) return false;
        } else if (id == kTopLevelXid && layout.major >= 14) {
            if (!parts.skip(sizeof(std::uint32_t))) return false;
        } else {
            return false;
        }
    }
    if (parts.left() != announced + main_length) return false;
    // Blocks' images and data come first, in order; the main data is what remains.
    record.main_data = parts.rest().subspan(announced, main_length);
    return true;
}

} // namespace

RecordHeader load_record_header(const std::byte* bytes)
{
    return {.length = load<std::uint32_t>(bytes),
            .xid = load<std::uint32_t>(bytes + 4),
            .previous = load<std::uint64_t>(bytes + 8),
            .info = load<std::uint8_t>(bytes + 16),
            .manager = load<std::uint8_t>(bytes + 17),
            .crc = load<std::uint32_t>(bytes + kRecordCrcAt)};
}

Fault parse_record(const Layout& layout, base::ByteView bytes, Record& record)
{
    if (bytes.size() < kRecordHeader) return Fault::record_length;
    RecordHeader header = load_record_header(bytes.data());
    if (header.length != bytes.size()) return Fault::record_length;

    // The server sums what follows the header first, then the header up to its CRC.
    std::uint32_t crc = stream::crc32c(bytes.subspan(kRecordHeader));
    crc = stream::crc32c(bytes.first(kRecordCrcAt), crc);
    if (crc != header.crc) return Fault::record_checksum;

    record.previous = header.previous;
    record.length = header.length;
    record.xid = header.xid;
    record.manager = header.manager;
    record.info = header.info;
    record.block_count = 0;
    record.images = 0;
    record.image_bytes = 0;
    Cursor parts(bytes.subspan(kRecordHeader));
    return read_parts(layout, parts, record) ? Fault::none : Fault::record_structure;
}

} // namespace tidemark::engine::postgres::wal
