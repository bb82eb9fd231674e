#include "repo/frame_packer.h"

#include "base/temp_dir.h"
#include "repo/format_testing.h"
#include "store/memory.h"
#include "store/posix.h"

#include <map>
#include <rapidcheck/gtest.h>
#include <thread>

namespace tidemark::repo {
namespace {

using base::Bytes;
using base::ByteView;
using store::MemoryStorage;

constexpr std::size_t kPage = 8192;

struct Bench {
    MemoryStorage storage;
    PackNumbers numbers;
    PageMapWriter page_map{storage, kTestMember, 1, 2};
    PackingCounters counters;

    FramePacker packer(std::size_t frame_size, std::uint64_t rotate_at = 1 << 30)
    {
        PackWriter packs(storage, numbers,
                         {.member = kTestMember,
                          .backup = 1,
                          .lease = 2,
                          .compression = stream::compression_of_level(1),
                          .rotate_at = rotate_at});
        return {std::move(packs), page_map, counters, {.frame_size = frame_size}};
    }
    void declare(std::uint32_t index, std::uint64_t size)
    {
        page_map.add_file({.index = index,
                           .kind = model::FileKind::regular,
                           .path = "f" + std::to_string(index),
                           .link_target = "",
                           .mode = 0600,
                           .modified = {},
                           .size = size});
    }
};

/// What a restore does: files of zeros, then every extent of every frame.
struct Restorer final : PageMapVisitor {
    explicit Restorer(store::Storage& storage) : reader(storage, kTestMember) {}
    void file(const model::FileEntry& entry) override { files[entry.index].resize(entry.size); }
    void frame(const FrameRef& ref, std::span<const Extent> extents) override
    {
        ByteView plain = reader.read(ref);
        for (const Extent& extent : extents) {
            Bytes& file = files[extent.file];
            file.resize(std::max<std::size_t>(file.size(), extent.offset + extent.length));
            std::ranges::copy(plain.subspan(extent.plain_offset, extent.length),
                              file.begin() + static_cast<std::ptrdiff_t>(extent.offset));
        }
    }
    PackReader reader;
    std::map<std::uint32_t, Bytes> files;
};

std::map<std::uint32_t, Bytes> restore(store::Storage& storage)
{
    Restorer restorer(storage);
    read_page_map(storage, kTestMember, 1, 2, restorer, {});
    return restorer.files;
}

TEST(FramePackerTest, ZeroPagesCostNothing)
{
    Bench setup;
    FramePacker packer = setup.packer(1 << 20);
    Bytes zeros(100 * kPage);
    packer.add(0, 0, zeros);
    setup.declare(0, zeros.size());
    EXPECT_TRUE(packer.finish().empty());
    EXPECT_EQ(setup.counters.zero, zeros.size());
    EXPECT_EQ(setup.counters.plain, 0U);
    setup.page_map.finish();
    EXPECT_EQ(restore(setup.storage).at(0), zeros);
}

TEST(FramePackerTest, OnlyWholeZeroPagesOfTheFileAreLeftOut)
{
    Bench setup;
    FramePacker packer = setup.packer(1 << 20);
    Bytes data(3 * kPage + 100);
    data[0] = std::byte{1};
    packer.add(0, 100, ByteView(data)); // pages of the file begin at byte 8092 of this
    setup.declare(0, data.size() + 100);
    packer.finish();
    EXPECT_EQ(setup.counters.zero, 2 * kPage);
    EXPECT_EQ(setup.counters.plain, data.size() - 2 * kPage);
    setup.page_map.finish();
    Bytes expected(100);
    expected.insert(expected.end(), data.begin(), data.end());
    EXPECT_EQ(restore(setup.storage).at(0), expected);
}

TEST(FramePackerTest, SmallFilesShareAFrame)
{
    Bench setup;
    FramePacker packer = setup.packer(1 << 20);
    for (std::uint32_t i = 0; i < 100; ++i) {
        packer.add(i, 0, test_bytes(1000 + i, i));
        setup.declare(i, 1000 + i);
    }
    auto packs = packer.finish();
    ASSERT_EQ(packs.size(), 1U);
    EXPECT_EQ(packs[0].frames, 1U);
    setup.page_map.finish();
    auto files = restore(setup.storage);
    for (std::uint32_t i = 0; i < 100; ++i)
        EXPECT_EQ(files.at(i), test_bytes(1000 + i, i));
}

TEST(FramePackerTest, AFrameOfTinyFilesStaysInItsBounds)
{
    Bench setup;
    FramePacker packer = setup.packer(1 << 20);
    for (std::uint32_t i = 0; i < kMaxExtents + 10; ++i) {
        packer.add(i, 0, test_bytes(1, 1));
        setup.declare(i, 1);
    }
    EXPECT_EQ(packer.finish()[0].frames, 2U);
    setup.page_map.finish();
    EXPECT_EQ(restore(setup.storage).size(), kMaxExtents + 10);
}

TEST(FramePackerTest, PagesStayWholeInFrames)
{
    Bench setup;
    FramePacker packer = setup.packer(16 * kPage);
    packer.add(0, 0, test_bytes(100, 1));
    packer.add(1, 0, test_bytes(40 * kPage, 2));
    packer.finish();
    setup.declare(0, 100);
    setup.declare(1, 40 * kPage);
    setup.page_map.finish();
    struct Check final : PageMapVisitor {
        void frame(const FrameRef&, std::span<const Extent> extents) override
        {
            for (const Extent& e : extents) {
                bool whole = e.offset % kPage == 0 && e.length % kPage == 0;
                EXPECT_TRUE(e.file != 1 || whole);
            }
        }
    } check;
    read_page_map(setup.storage, kTestMember, 1, 2, check, {});
}

TEST(FramePackerTest, WorkersShareAPageMap)
{
    Bench setup;
    std::vector<std::thread> threads;
    for (std::uint32_t worker = 0; worker < 4; ++worker) {
        threads.emplace_back([&setup, worker] {
            FramePacker packer = setup.packer(64 * kPage, 1 << 20);
            for (std::uint32_t i = 0; i < 20; ++i) {
                std::uint32_t file = i * 4 + worker;
                Bytes bytes = test_bytes(50'000 + file, file);
                packer.add(file, 0, bytes);
                setup.declare(file, bytes.size());
            }
            packer.finish();
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    setup.page_map.finish();
    auto files = restore(setup.storage);
    ASSERT_EQ(files.size(), 80U);
    for (auto& [index, bytes] : files)
        EXPECT_EQ(bytes, test_bytes(50'000 + index, index));
}

RC_GTEST_PROP(FramePackerProperty, AnyFilesComeBack, ())
{
    Bench setup;
    auto frame_pages = *rc::gen::inRange<std::size_t>(1, 9);
    FramePacker packer = setup.packer(frame_pages * kPage, 100'000);
    std::map<std::uint32_t, Bytes> files;
    auto count = *rc::gen::inRange<std::uint32_t>(1, 6);
    for (std::uint32_t i = 0; i < count; ++i) {
        auto size = *rc::gen::inRange<std::size_t>(0, 20 * kPage);
        Bytes bytes = test_bytes(size, i);
        for (std::size_t at = 0; at + kPage <= size; at += kPage) {
            if (*rc::gen::inRange(0, 3) == 0)
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), kPage, std::byte{0});
        }
        for (std::size_t at = 0; at < size;) {
            std::size_t part = std::min(size - at, *rc::gen::inRange<std::size_t>(1, 5 * kPage));
            packer.add(i, at, ByteView(bytes).subspan(at, part));
            at += part;
        }
        setup.declare(i, size);
        files[i] = std::move(bytes);
    }
    packer.finish();
    setup.page_map.finish();
    RC_ASSERT(restore(setup.storage) == files);
    RC_ASSERT(setup.counters.read == setup.counters.zero + setup.counters.plain);
    RC_ASSERT(setup.counters.durable == setup.counters.plain);
}

/// Progress shows what the target has, not what was handed to it.
TEST(FramePacker, CountsAsDurableWhatTheStoreHasOnItsDisks)
{
    base::TempDir dir{"packer"};
    auto storage = store::open_directory(dir.path());
    PackNumbers numbers;
    PageMapWriter page_map(*storage, kTestMember, 1, 2);
    PackingCounters counters;
    PackOptions options{.member = kTestMember,
                        .backup = 1,
                        .lease = 2,
                        .compression = stream::compression_of_level(0)};
    FramePacker packer(PackWriter(*storage, numbers, options), page_map, counters, {});
    page_map.add_file({.index = 0,
                       .kind = model::FileKind::regular,
                       .path = "f",
                       .link_target = "",
                       .mode = 0600,
                       .modified = {},
                       .size = 32U << 20});
    Bytes part(4U << 20, std::byte{7});
    packer.add(0, 0, part);
    packer.flush();
    EXPECT_EQ(counters.plain, part.size());
    EXPECT_EQ(counters.durable, 0U) << "it was hardly handed over";
    for (std::uint64_t at = part.size(); at < 32U << 20; at += part.size())
        packer.add(0, at, part);
    packer.flush();
    EXPECT_GT(counters.durable, 0U);
    EXPECT_LT(counters.durable, counters.plain);
    packer.finish();
    EXPECT_EQ(counters.durable, 32U << 20);
}

} // namespace
} // namespace tidemark::repo
