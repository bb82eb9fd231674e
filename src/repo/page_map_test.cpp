#include "repo/page_map.h"

#include "base/error.h"
#include "repo/format_testing.h"
#include "store/memory.h"
#include "stream/checksum.h"
#include "stream/crc32c.h"

#include <algorithm>
#include <rapidcheck/gtest.h>
#include <span>

namespace tidemark::repo {
namespace {

using base::Bytes;
using base::Code;
using base::Error;
using model::FileEntry;
using model::FileKind;
using store::MemoryStorage;

struct Frame {
    FrameRef ref;
    std::vector<Extent> extents;
    friend bool operator==(const Frame&, const Frame&) = default;
};

struct Seen final : PageMapVisitor {
    std::vector<FileEntry> files;
    std::vector<Frame> frames;
    void file(const FileEntry& entry) override { files.push_back(entry); }
    void frame(const FrameRef& ref, std::span<const Extent> extents) override
    {
        frames.push_back({ref, {extents.begin(), extents.end()}});
    }
};

FileEntry file_of(std::uint32_t index, std::uint64_t size, std::string path = "base/5/1259")
{
    return {.index = index,
            .kind = FileKind::regular,
            .path = std::move(path),
            .link_target = "",
            .mode = 0600,
            .modified = base::Time{base::Duration{1'763'821'867'123'456}},
            .size = size};
}

FrameRef ref_of(std::uint32_t number, std::uint32_t plain)
{
    FrameRef ref{.pack = {.backup = 1, .lease = 2, .number = number},
                 .offset = 48 + number,
                 .stored_length = 100,
                 .plain_length = plain,
                 .xxh3 = 0x1122334455667788,
                 .sha16 = {}};
    ref.sha16.fill(static_cast<std::byte>(number));
    return ref;
}

PageMapInfo parse(const Bytes& bytes, Seen& seen)
{
    BytesSource source(bytes);
    return parse_page_map(source, seen);
}

Bytes object(store::Storage& storage)
{
    return store::get(storage, page_map_key(kTestMember, 1, 2), 1 << 28).value();
}

Bytes small_map()
{
    MemoryStorage storage;
    PageMapWriter writer(storage, kTestMember, 1, 2);
    writer.add_file(file_of(0, 20000));
    writer.add_frame(ref_of(0, 16384), std::vector<Extent>{{0, 0, 8192, 0}, {1, 100, 50, 8192}});
    writer.add_file(file_of(1, 150, "global/1262"));
    writer.finish();
    return object(storage);
}

TEST(PageMapTest, FilesAndFramesComeBack)
{
    MemoryStorage storage;
    PageMapWriter writer(storage, kTestMember, 1, 2);
    std::vector<FileEntry> files = {
        file_of(5, 1ULL << 40),
        {.index = 0,
         .kind = FileKind::directory,
         .path = "base",
         .link_target = "",
         .mode = 0700,
         .modified = {},
         .size = 0},
        {.index = 1,
         .kind = FileKind::tablespace_link,
         .path = "pg_tblspc/16471",
         .link_target = "/srv/space",
         .mode = 0777,
         .modified = base::Time{base::Duration{-5}},
         .size = 0},
    };
    std::vector<Frame> frames = {
        {ref_of(3, 1 << 20), {{5, 0, 8192, 0}, {5, 8192, 8192, 8192}, {5, 1 << 30, 100, 90000}}},
        {ref_of(4, 1 << 20), {{5, 1ULL << 39, 1 << 20, 0}}},
    };
    writer.add_file(files[0]);
    writer.add_frame(frames[0].ref, frames[0].extents);
    writer.add_file(files[1]);
    writer.add_frame(frames[1].ref, frames[1].extents);
    writer.add_file(files[2]);
    PageMapInfo written = writer.finish();
    Seen seen;
    PageMapInfo read = read_page_map(storage, kTestMember, 1, 2, seen, written.sha256);
    EXPECT_EQ(seen.files, files);
    EXPECT_EQ(seen.frames, frames);
    EXPECT_EQ(read, written);
    EXPECT_EQ(read.totals.files, 3U);
    EXPECT_EQ(read.totals.extents, 4U);
    EXPECT_EQ(read.totals.covered_bytes, 8192U * 2 + 100 + (1 << 20));
    EXPECT_EQ(read.sha256, stream::sha256(object(storage)));
    EXPECT_EQ(read.length, object(storage).size());
}

TEST(PageMapTest, ManyRecordsMakeManyChunks)
{
    MemoryStorage storage;
    PageMapWriter writer(storage, kTestMember, 1, 2);
    std::vector<Extent> extents;
    for (std::uint32_t i = 0; i < 1000; ++i)
        extents.push_back({0, i * 20000ULL, 8192, i * 8192});
    for (std::uint32_t i = 0; i < 1000; ++i) {
        for (Extent& extent : extents)
            extent.offset += 20'000'000;
        writer.add_frame(ref_of(i, 8192000), extents);
    }
    writer.add_file(file_of(0, 1ULL << 40));
    PageMapInfo written = writer.finish();
    Seen seen;
    EXPECT_EQ(parse(object(storage), seen), written);
    EXPECT_EQ(seen.frames.size(), 1000U);
    EXPECT_EQ(seen.frames.back().extents, extents);
    EXPECT_GT(written.length, 2 * kMaxChunk);
    // An extent costs little: that is what keeps maps of big databases small.
    EXPECT_LT(written.length, 1000 * 1000 * 8U);
}

/// The only chunk of a map with its checksums made right.
void reseal(Bytes& bytes)
{
    auto put = [&](std::size_t at, base::ByteView from) {
        std::ranges::copy(from, bytes.begin() + static_cast<std::ptrdiff_t>(at));
    };
    std::size_t payload = kPageMapHeaderSize + kChunkHeaderSize;
    std::uint32_t length = base::load_u32(bytes.data() + kPageMapHeaderSize + 12);
    ASSERT_EQ(payload + length + kPageMapTrailerSize, bytes.size()) << "one chunk";
    put(kPageMapHeaderSize + 16, stream::sha16(base::ByteView(bytes).subspan(payload, length)));
    std::uint32_t crc =
        stream::crc32c(base::ByteView(bytes).subspan(kPageMapHeaderSize, kChunkHeaderSize - 4));
    put(payload - 4, std::as_bytes(std::span(&crc, 1)));
}

// rule 34
TEST(PageMapTest, ReadersKeepExtentsWithinTheirFilesToo)
{
    Bytes bytes = small_map();
    reseal(bytes);
    ASSERT_EQ(bytes, small_map());
    // The second extent: the next file, at byte 100 (a zigzag varint), 50 bytes, behind the first.
    const Bytes written{std::byte{2}, std::byte{0xc8}, std::byte{1}, std::byte{50}, std::byte{0}};
    auto found = std::ranges::search(bytes, written);
    ASSERT_EQ(found.size(), written.size());
    found[1] = std::byte{0xca}; // at byte 101: one beyond the end of a file of 150
    reseal(bytes);
    Seen seen;
    try {
        parse(bytes, seen);
        FAIL() << "an extent beyond its file";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("reach byte 151"), std::string::npos)
            << error.what();
    }
}

// rule 34
TEST(PageMapTest, EveryChangeIsFound)
{
    expect_every_change_is_found(small_map(), [](const Bytes& bytes) {
        Seen seen;
        parse(bytes, seen);
    });
}

TEST(PageMapTest, ChunksHaveAnOrder)
{
    MemoryStorage storage;
    PageMapWriter writer(storage, kTestMember, 1, 2);
    std::string path(4000, 'x');
    for (std::uint32_t i = 0; i < 300; ++i)
        writer.add_file(file_of(i, 0, path));
    writer.finish();
    Bytes bytes = object(storage);
    auto length = [&](std::size_t at) {
        return base::load_u32(bytes.data() + at + 12) + kChunkHeaderSize;
    };
    std::size_t first = kPageMapHeaderSize;
    std::size_t second = first + length(first);
    std::size_t third = second + length(second);
    auto at = [&](std::size_t offset) {
        return bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    Bytes swapped(at(0), at(first));
    swapped.insert(swapped.end(), at(second), at(third));
    swapped.insert(swapped.end(), at(first), at(second));
    swapped.insert(swapped.end(), at(third), bytes.end());
    ASSERT_EQ(swapped.size(), bytes.size());
    Seen seen;
    EXPECT_NO_THROW(parse(bytes, seen));
    EXPECT_THROW(parse(swapped, seen), Error);
}

TEST(PageMapTest, WhatDoesNotFitTogetherIsNotWritten)
{
    MemoryStorage storage;
    auto expect_refused = [&](auto&& use) {
        PageMapWriter writer(storage, kTestMember, 1, 2);
        EXPECT_THROW(
            {
                use(writer);
                writer.finish();
            },
            Error);
        EXPECT_TRUE(storage.list("").empty());
    };
    using Extents = std::vector<Extent>;
    expect_refused([](PageMapWriter& w) { w.add_frame(ref_of(0, 100), Extents{{0, 0, 10, 0}}); });
    expect_refused([](PageMapWriter& w) {
        w.add_file(file_of(0, 10));
        w.add_file(file_of(0, 10));
    });
    expect_refused([](PageMapWriter& w) {
        w.add_file(file_of(0, 10));
        w.add_frame(ref_of(0, 100), Extents{{0, 0, 11, 0}});
    });
    expect_refused([](PageMapWriter& w) {
        w.add_frame(ref_of(0, 100), Extents{{0, 5, 6, 0}});
        w.add_file(file_of(0, 10));
    });
    expect_refused([](PageMapWriter& w) { // more than the file has, by overlapping
        w.add_file(file_of(0, 10));
        w.add_frame(ref_of(0, 100), Extents{{0, 0, 8, 0}, {0, 2, 8, 8}});
    });
    for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "."}) {
        expect_refused([&](PageMapWriter& w) { w.add_file(file_of(0, 0, path)); });
    }
    expect_refused([](PageMapWriter& w) { w.add_file(file_of(0, 0, std::string("a\0b", 3))); });
    expect_refused([](PageMapWriter& w) { w.add_file(file_of(0, 0, std::string(4097, 'a'))); });
}

TEST(PageMapTest, NamesAndHashesAreCompared)
{
    MemoryStorage storage;
    store::put(storage, page_map_key(kTestMember, 1, 2), small_map());
    store::put(storage, page_map_key(kTestMember, 9, 2), small_map());
    Seen seen;
    EXPECT_NO_THROW(read_page_map(storage, kTestMember, 1, 2, seen, {}));
    EXPECT_THROW(read_page_map(storage, kTestMember, 1, 2, seen, stream::Sha256Digest{}), Error);
    EXPECT_THROW(read_page_map(storage, kTestMember, 9, 2, seen, {}), Error);
    try {
        read_page_map(storage, kTestMember, 1, 3, seen, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::not_restorable);
    }
}

TEST(PageMapTest, ACallersErrorIsNotDamage)
{
    MemoryStorage storage;
    store::put(storage, page_map_key(kTestMember, 1, 2), small_map());
    struct Failing final : PageMapVisitor {
        void file(const FileEntry&) override { throw Error{Code::out_of_space, "full"}; }
        void frame(const FrameRef&, std::span<const Extent>) override {}
    } failing;
    try {
        read_page_map(storage, kTestMember, 1, 2, failing, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::out_of_space);
    }
}

RC_GTEST_PROP(PageMapProperty, AnythingComesBack, ())
{
    MemoryStorage storage;
    PageMapWriter writer(storage, kTestMember, 1, 2);
    auto files = *rc::gen::inRange<std::uint32_t>(1, 20);
    std::vector<Frame> frames;
    auto count = *rc::gen::inRange<std::uint32_t>(0, 20);
    for (std::uint32_t i = 0; i < count; ++i) {
        Frame frame{.ref = ref_of(i, *rc::gen::inRange<std::uint32_t>(1, kMaxFramePlain)),
                    .extents = {}};
        auto extents = *rc::gen::inRange<std::uint32_t>(1, 30);
        for (std::uint32_t k = 0; k < extents; ++k) {
            std::uint32_t length = *rc::gen::inRange<std::uint32_t>(0, frame.ref.plain_length) + 1;
            frame.extents.push_back({.file = *rc::gen::inRange<std::uint32_t>(0, files) * 1000003U,
                                     .offset = *rc::gen::inRange<std::uint64_t>(0, 1ULL << 50),
                                     .length = length,
                                     .plain_offset = *rc::gen::inRange<std::uint32_t>(
                                         0, frame.ref.plain_length - length + 1)});
        }
        writer.add_frame(frame.ref, frame.extents);
        frames.push_back(frame);
    }
    for (std::uint32_t i = 0; i < files; ++i)
        writer.add_file(file_of(i * 1000003U, 1ULL << 51));
    PageMapInfo written = writer.finish();
    Seen seen;
    RC_ASSERT(parse(object(storage), seen) == written);
    RC_ASSERT(seen.frames == frames);
}

} // namespace
} // namespace tidemark::repo
