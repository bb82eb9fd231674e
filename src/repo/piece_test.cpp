#include "repo/piece.h"

#include "base/error.h"
#include "repo/format_testing.h"
#include "store/memory.h"

#include <rapidcheck/gtest.h>

namespace tidemark::repo {
namespace {

using base::Bytes;
using base::ByteView;
using base::Code;
using base::Error;
using store::MemoryStorage;

PieceInfo info_from(model::Offset from)
{
    return {.engine = EngineTag::postgresql,
            .system_id = 7'300'000'000'000'000'001,
            .segment_size = 16 << 20,
            .version_num = 150'018,
            .range = {.epoch = 3, .from = from, .to = 0}};
}

BuiltPiece build(ByteView log, int level = 1, model::Offset from = 0x3000000)
{
    PieceBuilder builder(info_from(from), {.level = level, .limit = kPieceLimit});
    EXPECT_EQ(builder.append(log), log.size());
    return builder.finish();
}

PieceId store_piece(store::Storage& storage, const BuiltPiece& piece)
{
    PieceId id{.range = piece.info.range, .lease = 5};
    store::put(storage, piece_key(kTestMember, id), piece.bytes);
    return id;
}

Bytes read(PieceReader& reader, model::Offset from, std::size_t count)
{
    Bytes out(count);
    reader.read(from, out);
    return out;
}

TEST(PieceTest, AnyPartCanBeRead)
{
    for (int level : {0, 1}) {
        Bytes log = test_bytes(2'500'001, 1);
        MemoryStorage storage;
        BuiltPiece piece = build(log, level);
        EXPECT_EQ(piece.info.range,
                  (model::LogRange{.epoch = 3, .from = 0x3000000, .to = 0x3000000 + log.size()}));
        EXPECT_EQ(piece.sha256, stream::sha256(piece.bytes));
        PieceReader reader(storage, kTestMember, store_piece(storage, piece));
        EXPECT_EQ(reader.info(), piece.info);
        EXPECT_EQ(read(reader, 0x3000000, log.size()), log);
        std::pair<std::size_t, std::size_t> parts[] = {
            {0, 1},           {log.size() - 1, 1},    {kPieceFrame - 1, 2},
            {kPieceFrame, 1}, {1'000'000, 1'500'000}, {5, 0}};
        for (auto [at, count] : parts) {
            Bytes part = read(reader, 0x3000000 + at, count);
            EXPECT_TRUE(
                std::equal(part.begin(), part.end(), log.begin() + static_cast<std::ptrdiff_t>(at)))
                << at;
        }
        EXPECT_EQ(reader.verify(piece.sha256), piece.sha256);
        EXPECT_THROW(reader.verify(stream::Sha256Digest{}), Error);
        EXPECT_EQ(parse_piece(piece.bytes, log.size()).log, log);
        EXPECT_THROW(parse_piece(piece.bytes, log.size() - 1), Error);
    }
}

TEST(PieceTest, TheBuilderStopsAtItsLimit)
{
    PieceBuilder builder(info_from(100), {.level = 1, .limit = 1000});
    Bytes log = test_bytes(3000, 1);
    EXPECT_EQ(builder.append(ByteView(log).first(600)), 600U);
    EXPECT_EQ(builder.room(), 400U);
    EXPECT_EQ(builder.append(ByteView(log).subspan(600)), 400U);
    EXPECT_EQ(builder.append(log), 0U);
    EXPECT_EQ(builder.end(), 1100U);
    BuiltPiece piece = builder.finish();
    EXPECT_EQ(parse_piece(piece.bytes, 1000).log, Bytes(log.begin(), log.begin() + 1000));
}

TEST(PieceTest, EveryChangeIsFound)
{
    for (int level : {0, 1}) {
        BuiltPiece piece = build(test_bytes(90, 1), level);
        expect_every_change_is_found(piece.bytes,
                                     [](const Bytes& bytes) { parse_piece(bytes, 1000); });
        PieceId id{.range = piece.info.range, .lease = 5};
        expect_every_change_is_found(piece.bytes, [&](const Bytes& bytes) {
            MemoryStorage storage;
            store::put(storage, piece_key(kTestMember, id), bytes);
            PieceReader(storage, kTestMember, id).verify(piece.sha256);
        });
    }
}

TEST(PieceTest, NoChangedByteIsGivenOut)
{
    Bytes log = test_bytes(90, 1);
    BuiltPiece piece = build(log);
    PieceId id{.range = piece.info.range, .lease = 5};
    for (std::size_t bit = 0; bit < piece.bytes.size() * 8; ++bit) {
        Bytes changed = piece.bytes;
        changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        MemoryStorage storage;
        store::put(storage, piece_key(kTestMember, id), changed);
        try {
            PieceReader reader(storage, kTestMember, id);
            EXPECT_EQ(read(reader, id.range.from, log.size()), log) << bit;
        } catch (const Error& error) {
            EXPECT_NE(error.code(), Code::failed) << bit << ": " << error.what();
        }
    }
}

TEST(PieceTest, APieceUnderAnotherNameIsRefused)
{
    MemoryStorage storage;
    BuiltPiece piece = build(test_bytes(100, 1));
    PieceId other{.range = piece.info.range, .lease = 5};
    other.range.epoch = 4;
    store::put(storage, piece_key(kTestMember, other), piece.bytes);
    try {
        PieceReader reader(storage, kTestMember, other);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::not_restorable);
        EXPECT_NE(error.message().find(piece_key(kTestMember, other)), std::string::npos);
    }
    other.range.epoch = 5;
    EXPECT_THROW(PieceReader(storage, kTestMember, other), Error);
}

RC_GTEST_PROP(PieceProperty, AnyCutsAndAnyReads, ())
{
    auto size = *rc::gen::inRange<std::size_t>(1, 3 << 20);
    Bytes log = test_bytes(size, 9);
    PieceBuilder builder(info_from(777), {.level = 1, .limit = kPieceLimit});
    for (std::size_t at = 0; at < size;) {
        std::size_t count = std::min(size - at, *rc::gen::inRange<std::size_t>(1, 700'000));
        RC_ASSERT(builder.append(ByteView(log).subspan(at, count)) == count);
        at += count;
    }
    MemoryStorage storage;
    PieceReader reader(storage, kTestMember, store_piece(storage, builder.finish()));
    for (int i = 0; i < 5; ++i) {
        auto at = *rc::gen::inRange<std::size_t>(0, size);
        auto count = *rc::gen::inRange<std::size_t>(0, size - at + 1);
        Bytes part = read(reader, 777 + at, count);
        RC_ASSERT(
            std::equal(part.begin(), part.end(), log.begin() + static_cast<std::ptrdiff_t>(at)));
    }
}

} // namespace
} // namespace tidemark::repo
