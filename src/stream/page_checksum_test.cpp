#include "stream/page_checksum.h"

#include <gtest/gtest.h>
#include <random>

namespace tidemark::stream {
namespace {

using base::Bytes;

/// The definition, word by word; the real oracle is the server (tests/integration).
std::uint16_t slow_checksum(const Bytes& page, std::uint32_t block)
{
    static const std::uint32_t kStart[32] = {
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2,
        0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C,
        0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979,
        0xCCA6C0B2, 0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
        0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};
    std::uint32_t result = 0;
    for (std::size_t lane = 0; lane < 32; ++lane) {
        std::uint32_t sum = kStart[lane];
        for (std::size_t row = 0; row < 66; ++row) {
            std::size_t word = row * 32 + lane;
            std::uint32_t value = row < 64 ? base::load_u32(page.data() + word * 4) : 0;
            if (word == 2) value &= 0xFFFF0000;
            std::uint32_t mixed = sum ^ value;
            sum = mixed * 16777619 ^ mixed >> 17;
        }
        result ^= sum;
    }
    return static_cast<std::uint16_t>((result ^ block) % 65535 + 1);
}

Bytes random_page(unsigned seed)
{
    std::mt19937 random(seed);
    Bytes page(kPageSize);
    for (std::byte& b : page)
        b = static_cast<std::byte>(random());
    page[14] = std::byte{1}; // in use
    return page;
}

void seal(Bytes& page, std::uint32_t block)
{
    std::uint16_t sum = page_checksum(page.data(), block);
    page[8] = static_cast<std::byte>(sum & 0xFF);
    page[9] = static_cast<std::byte>(sum >> 8);
}

TEST(PageChecksumTest, AgreesWithTheDefinition)
{
    for (unsigned i = 0; i < 200; ++i) {
        Bytes page = random_page(i);
        std::uint32_t block = i * 7919;
        EXPECT_EQ(page_checksum(page.data(), block), slow_checksum(page, block));
    }
    Bytes zero(kPageSize);
    EXPECT_EQ(page_checksum(zero.data(), 0), slow_checksum(zero, 0));
}

TEST(PageChecksumTest, Verdicts)
{
    Bytes page = random_page(1);
    seal(page, 42);
    EXPECT_EQ(check_page(page.data(), 42).state, PageState::good);
    EXPECT_EQ(check_page(page.data(), 43).state, PageState::bad_checksum);
    for (std::size_t at : {0UL, 8UL, 9UL, 100UL, kPageSize - 1}) {
        Bytes bad = page;
        bad[at] ^= std::byte{1};
        auto verdict = check_page(bad.data(), 42);
        EXPECT_EQ(verdict.state, PageState::bad_checksum) << at;
        EXPECT_FALSE(verdict.ok());
        EXPECT_NE(verdict.stored, verdict.computed);
    }
    Bytes zero(kPageSize);
    EXPECT_EQ(check_page(zero.data(), 42).state, PageState::zero);
    zero[5000] = std::byte{1};
    EXPECT_EQ(check_page(zero.data(), 42).state, PageState::bad_new);
}

TEST(PageChecksumTest, TheLsnIsRead)
{
    Bytes page = random_page(2);
    page[0] = std::byte{0x16}; // 16/B374D848: the high word first
    page[1] = page[2] = page[3] = std::byte{0};
    page[4] = std::byte{0x48};
    page[5] = std::byte{0xD8};
    page[6] = std::byte{0x74};
    page[7] = std::byte{0xB3};
    EXPECT_EQ(check_page(page.data(), 0).lsn, 0x16B374D848ULL);
}

TEST(PageChecksumTest, IsZeroSeesEveryByte)
{
    for (std::size_t size : {1UL, 7UL, 8UL, 9UL, 63UL, 300UL}) {
        Bytes bytes(size);
        EXPECT_TRUE(is_zero(bytes));
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = std::byte{0x80};
            EXPECT_FALSE(is_zero(bytes)) << size << " " << i;
            bytes[i] = std::byte{0};
        }
    }
    EXPECT_TRUE(is_zero({}));
}

} // namespace
} // namespace tidemark::stream
