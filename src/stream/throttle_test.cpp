#include "stream/throttle.h"

#include <gtest/gtest.h>

namespace tidemark::stream {
namespace {

using namespace std::chrono_literals;

const Throttle::TimePoint kStart{1000s};

TEST(ThrottleTest, UnlimitedNeverWaits)
{
    Throttle throttle({});
    EXPECT_EQ(throttle.take(~0ULL, kStart), 0us);
}

TEST(ThrottleTest, TheBurstIsFreeThenTheRateHolds)
{
    Throttle throttle({.bytes_per_second = 1000, .burst = 500});
    EXPECT_EQ(throttle.take(500, kStart), 0us);
    EXPECT_EQ(throttle.take(100, kStart), 100ms);
    EXPECT_EQ(throttle.take(100, kStart + 100ms), 100ms);
    EXPECT_EQ(throttle.take(100, kStart + 10s), 0us);
    EXPECT_EQ(throttle.take(500, kStart + 10s), 100ms);
}

TEST(ThrottleTest, OverALongTimeTheRateIsKept)
{
    Throttle throttle({.bytes_per_second = 1'000'000, .burst = 0});
    auto now = kStart;
    for (int i = 0; i < 1000; ++i)
        now += throttle.take(std::uint64_t{64} * 1024, now);
    double seconds = std::chrono::duration<double>(now - kStart).count();
    EXPECT_NEAR(seconds, (1000 * 65.536 - 500) / 1000, 0.1);
}

TEST(ThrottleTest, AClockThatStepsBackGivesNothing)
{
    Throttle throttle({.bytes_per_second = 1000, .burst = 100});
    EXPECT_EQ(throttle.take(100, kStart + 5s), 0us);
    EXPECT_EQ(throttle.take(100, kStart), 100ms);
    EXPECT_EQ(throttle.take(0, kStart + 5s), 100ms);
}

} // namespace
} // namespace tidemark::stream
