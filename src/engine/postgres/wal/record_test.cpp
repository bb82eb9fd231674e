#include "engine/postgres/wal/record.h"

#include "engine/postgres/wal/test_log.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres::wal {
namespace {

using base::Bytes;
using base::ByteView;

/// Gives `bytes` the CRC they need, so that only their structure is judged.
void seal(Bytes& bytes)
{
    auto length = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(bytes.data(), &length, sizeof length);
    ByteView view = bytes;
    std::uint32_t crc =
        stream::crc32c(view.first(kRecordCrcAt), stream::crc32c(view.subspan(kRecordHeader)));
    std::memcpy(bytes.data() + kRecordCrcAt, &crc, sizeof crc);
}

Fault parse(int major, const Bytes& bytes, Record& record)
{
    return parse_record(*layout_of_major(major), bytes, record);
}

TEST(WalRecord, GivesItsBlocksAndData)
{
    TestLog log;
    RelationFile other{.tablespace = 1664, .database = 0, .number = 1262};
    Bytes bytes = log.render({.manager = 10,
                              .info = 0x83,
                              .xid = 741,
                              .main = Bytes(3, std::byte{'m'}),
                              .blocks = {{.block = 8, .image = Bytes(100), .data = Bytes(2)},
                                         {.id = 1, .fork = Fork::visibility, .same_relation = true},
                                         {.id = 32, .file = other, .block = 0xFFFFFFFE}}});
    Record record;
    ASSERT_EQ(parse(15, bytes, record), Fault::none);
    EXPECT_EQ(record.xid, 741U);
    EXPECT_EQ(record.manager, 10);
    EXPECT_EQ(record.info, 0x83);
    EXPECT_EQ(record.kind(), 0x80);
    EXPECT_EQ(record.length, bytes.size());
    EXPECT_EQ(base::as_text(record.main_data), "mmm");
    EXPECT_EQ(record.images, 1U);
    EXPECT_EQ(record.image_bytes, 100U);
    ASSERT_EQ(record.blocks().size(), 3U);
    EXPECT_TRUE(record.blocks()[0].has_image);
    EXPECT_EQ(record.blocks()[0].data_length, 2U);
    EXPECT_EQ(record.blocks()[1].file, record.blocks()[0].file);
    EXPECT_EQ(record.blocks()[1].fork, Fork::visibility);
    EXPECT_EQ(record.blocks()[2].file, other);
    EXPECT_EQ(record.blocks()[2].block, 0xFFFFFFFEU);
}

/// One block with an image whose header has `flags`, `extra` bytes after it, and no data.
Bytes with_image(std::uint8_t flags, std::size_t extra)
{
    base::ByteWriter writer;
    writer.raw(Bytes(kRecordHeader));
    writer.u8(0);
    writer.u8(0x10);
    writer.u16(0);
    writer.u16(5); // image length
    writer.u16(0);
    writer.u8(flags);
    writer.raw(Bytes(extra));
    writer.raw(Bytes(12 + 4)); // relation, block
    writer.raw(Bytes(5));
    Bytes bytes = writer.take();
    seal(bytes);
    return bytes;
}

TEST(WalRecord, KnowsEachVersionsCompressionFlags)
{
    struct Case {
        int major;
        std::uint8_t flags;
        std::size_t extra;
    };
    // 13, 14: hole 1, compressed 2, apply 4. 15 on: hole 1, apply 2, pglz 4, lz4 8, zstd 16.
    for (const Case& one : {Case{13, 0x07, 2}, Case{14, 0x03, 2}, Case{14, 0x06, 0},
                            Case{14, 0x05, 0}, Case{15, 0x03, 0}, Case{15, 0x05, 2},
                            Case{16, 0x09, 2}, Case{18, 0x13, 2}, Case{17, 0x10, 0}}) {
        Record record;
        EXPECT_EQ(parse(one.major, with_image(one.flags, one.extra), record), Fault::none)
            << one.major << " " << int{one.flags};
        EXPECT_EQ(parse(one.major, with_image(one.flags, 2 - one.extra), record),
                  Fault::record_structure);
    }
}

Bytes with_parts(std::initializer_list<unsigned> parts)
{
    Bytes bytes(kRecordHeader);
    for (unsigned part : parts)
        bytes.push_back(static_cast<std::byte>(part));
    seal(bytes);
    return bytes;
}

TEST(WalRecord, ReadsOriginAndTopLevelTransaction)
{
    Record record;
    EXPECT_EQ(parse(13, with_parts({253, 1, 0, 255, 1, 9}), record), Fault::none);
    EXPECT_EQ(record.main_data.size(), 1U);
    EXPECT_EQ(parse(14, with_parts({252, 1, 0, 0, 0, 255, 1, 9}), record), Fault::none);
    EXPECT_EQ(parse(13, with_parts({252, 1, 0, 0, 0, 255, 1, 9}), record), Fault::record_structure)
        << "13 has no such part";
}

TEST(WalRecord, RefusesPartsThatDoNotAddUp)
{
    Record record;
    for (const Bytes& bytes :
         {with_parts({255}), with_parts({255, 2, 9}), with_parts({255, 1, 9, 9}),
          with_parts({254, 0xFF, 0xFF, 0xFF, 0xFF, 1}), with_parts({254, 1, 0}),
          with_parts({253, 1}), with_parts({252, 1, 0}), with_parts({33}),
          with_parts({251, 0, 0, 0}), with_parts({0}),
          with_parts({0, 0, 0, 0, 1, 2, 3}),       // relation cut short
          with_parts({0, 0x80, 0, 0, 1, 0, 0, 0}), // same relation as nothing
          with_parts({0, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0}), // no such fork
          with_parts({0, 0, 1, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0, 9}),
          with_parts({0, 0x20, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0}),
          with_parts({1, 0, 0, 0, 1, 1, 1, 1,    2, 2, 2, 2, 3, 3,
                      3, 3, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0})}) // not in order
        EXPECT_EQ(parse(15, bytes, record), Fault::record_structure) << base::to_hex(bytes);
}

TEST(WalRecord, RefusesAnotherLengthAndChecksum)
{
    Bytes bytes = with_parts({255, 1, 9});
    Record record;
    EXPECT_EQ(parse_record(*layout_of_major(15), ByteView(bytes).first(26), record),
              Fault::record_length);
    EXPECT_EQ(parse_record(*layout_of_major(15), ByteView(bytes).first(3), record),
              Fault::record_length);
    bytes[5] ^= std::byte{1};
    EXPECT_EQ(parse(15, bytes, record), Fault::record_checksum);
}

} // namespace
} // namespace tidemark::engine::postgres::wal
