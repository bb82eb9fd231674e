#include "engine/postgres/page_verifier.h"

#include "stream/page_checksum.h"

#include <algorithm>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using stream::kPageSize;
using ::testing::HasSubstr;

constexpr std::uint32_t kSegmentPages = 131072;

/// A page with a fitting checksum; lsn as the server writes it (high half first).
base::Bytes page(std::uint32_t block, std::uint64_t lsn, char fill)
{
    base::Bytes bytes(kPageSize, static_cast<std::byte>(fill));
    auto put = [&](std::size_t at, auto value) {
        std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    put(0, static_cast<std::uint32_t>(lsn >> 32));
    put(4, static_cast<std::uint32_t>(lsn));
    put(8, std::uint16_t{0});
    put(14, std::uint16_t{8000});
    put(8, stream::page_checksum(bytes.data(), block));
    return bytes;
}

struct Fixture : ::testing::Test {
    std::vector<base::Bytes> readings; ///< what re-reading finds, one after the other
    std::size_t next = 0;
    int pauses = 0;
    PageVerifier verifier{{.start = 0x5000,
                           .segment_pages = kSegmentPages,
                           .log_end = [] { return model::Offset{0x9000}; },
                           .pause = [this](auto) { ++pauses; }}};
    PageVerifier::Reread reread = [this](std::uint64_t,
                                         base::ByteSpan into) -> std::optional<std::size_t> {
        const auto& bytes = readings.at(std::min(next++, readings.size() - 1));
        std::ranges::copy(bytes, into.begin());
        return bytes.size();
    };
};

TEST_F(Fixture, GoodNewAndZeroPagesPass)
{
    auto bytes = page(7, 0x1000, 'a');
    bytes.resize(2 * kPageSize);
    verifier.verify("base/5/16384", 7 * kPageSize, bytes, reread);
    EXPECT_TRUE(verifier.damaged().empty());
    EXPECT_EQ(verifier.verified(), 2U);
    EXPECT_EQ(verifier.reread(), 0U);
}

TEST_F(Fixture, SegmentsCountOn)
{
    auto bytes = page(2 * kSegmentPages + 1, 0x1000, 'a');
    verifier.verify("base/5/16384.2", kPageSize, bytes, reread);
    EXPECT_TRUE(verifier.damaged().empty());
    verifier.verify("base/5/16384.3", kPageSize, bytes, {}, "no way to read it again");
    ASSERT_EQ(verifier.damaged().size(), 1U);
    EXPECT_EQ(verifier.damaged()[0].block, 1U);
}

TEST_F(Fixture, TornPageIsReadAgainUntilItIsWhole)
{
    auto whole = page(0, 0x1000, 'b');
    auto torn = page(0, 0x1000, 'a');
    std::memcpy(torn.data() + 4096, whole.data() + 4096, 4096);
    readings = {torn, torn, whole};
    auto bytes = torn;
    verifier.verify("base/5/16384", 0, bytes, reread);
    EXPECT_EQ(bytes, whole);
    EXPECT_TRUE(verifier.damaged().empty());
    EXPECT_EQ(verifier.reread(), 3U);
}

TEST_F(Fixture, RotIsNamedAndTheBytesAreKept)
{
    auto rotten = page(3, 0x1000, 'a');
    rotten[5000] ^= std::byte{1};
    readings = {rotten};
    auto bytes = rotten;
    verifier.verify("base/5/16384", 3 * kPageSize, bytes, reread);
    EXPECT_EQ(bytes, rotten);
    ASSERT_EQ(verifier.damaged().size(), 1U);
    EXPECT_EQ(verifier.damaged()[0].path, "base/5/16384");
    EXPECT_EQ(verifier.damaged()[0].block, 3U);
    EXPECT_THAT(verifier.damaged()[0].why, HasSubstr("checksum"));
    EXPECT_EQ(pauses, 5);
}

TEST_F(Fixture, PagesThatReplayRewritesPass)
{
    auto newer = page(0, 0x6000, 'a');
    newer[5000] ^= std::byte{1};
    verifier.verify("base/5/16384", 0, newer, reread);
    EXPECT_TRUE(verifier.damaged().empty());
    EXPECT_EQ(verifier.reread(), 0U);
}

TEST_F(Fixture, PositionsBeyondTheLogAreNotBelieved)
{
    auto wild = page(0, 0xA000, 'a');
    wild[5000] ^= std::byte{1};
    readings = {wild};
    verifier.verify("base/5/16384", 0, wild, reread);
    EXPECT_EQ(verifier.damaged().size(), 1U);
}

TEST_F(Fixture, UnusedPagesMustBeEmpty)
{
    base::Bytes odd(kPageSize);
    odd[6000] = std::byte{1};
    readings = {odd};
    verifier.verify("base/5/16384", 0, odd, reread);
    ASSERT_EQ(verifier.damaged().size(), 1U);
    EXPECT_THAT(verifier.damaged()[0].why, HasSubstr("unused"));
}

TEST_F(Fixture, TruncatedPagesBecomeZeros)
{
    auto torn = page(0, 0x1000, 'a');
    torn[5000] ^= std::byte{1};
    readings = {base::Bytes{}};
    verifier.verify("base/5/16384", 0, torn, reread);
    EXPECT_EQ(torn, base::Bytes(kPageSize));
    EXPECT_TRUE(verifier.damaged().empty());
}

TEST_F(Fixture, ManyBadPagesAreNotWaitedFor)
{
    auto rotten = page(0, 0x1000, 'a');
    rotten[5000] ^= std::byte{1};
    readings = {rotten};
    for (int i = 0; i < 200; ++i) {
        auto bytes = rotten;
        verifier.verify("base/5/16384", 0, bytes, reread);
    }
    EXPECT_EQ(verifier.damaged().size(), 200U);
    EXPECT_LE(pauses, 64 * 5);
}

TEST_F(Fixture, ADiskThatIsGoneFillsNoMemory)
{
    for (std::uint64_t block = 0; block < 1500; ++block)
        verifier.add_damage({"base/5/16384", block, "cannot be read"});
    EXPECT_EQ(verifier.damaged().size(), PageVerifier::kMostNamed);
    EXPECT_EQ(verifier.damaged_count(), 1500U);
}

} // namespace
} // namespace tidemark::engine::postgres
