#include "base/random.h"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>

namespace tidemark::base {
namespace {

TEST(RandomTest, SeedsRepeat)
{
    SeededRandom first{42};
    SeededRandom second{42};
    SeededRandom other{43};
    EXPECT_EQ(first.next(), second.next());
    EXPECT_EQ(first.next(), second.next());
    EXPECT_NE(first.next(), other.next());
}

TEST(RandomTest, BelowIsEvenAndInBounds)
{
    SeededRandom random{1};
    std::array<int, 5> counts = {};
    for (int i = 0; i < 50'000; ++i)
        ++counts.at(random.below(5));
    for (int count : counts)
        EXPECT_NEAR(count, 10'000, 500);
    EXPECT_EQ(random.below(1), 0U);
}

TEST(RandomTest, HexHasTwoDigitsAByte)
{
    std::string drawn = random_hex(16);
    EXPECT_EQ(drawn.size(), 32U);
    EXPECT_EQ(drawn.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(drawn, random_hex(16));
    EXPECT_EQ(random_hex(0), "");
}

TEST(RandomTest, UnitStaysBelowOne)
{
    SeededRandom random{1};
    double sum = 0;
    for (int i = 0; i < 10'000; ++i) {
        double value = random.unit();
        ASSERT_GE(value, 0);
        ASSERT_LT(value, 1);
        sum += value;
    }
    EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(RandomTest, TheSystemFillsOddSizes)
{
    SystemRandom random;
    Bytes bytes(1001);
    random.fill(bytes);
    auto zeros = std::count(bytes.begin(), bytes.end(), std::byte{0});
    EXPECT_LT(zeros, 50);
    EXPECT_NE(random.next(), random.next());
}

} // namespace
} // namespace tidemark::base
