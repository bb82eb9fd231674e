#include "base/clock.h"

#include <gtest/gtest.h>

namespace tidemark::base {
namespace {

using namespace std::chrono_literals;

TEST(ClockTest, TimesSurviveTextAndBack)
{
    auto time = parse_time("2026-11-22T14:31:07.123456Z");
    ASSERT_TRUE(time);
    EXPECT_EQ(format_time(*time), "2026-11-22T14:31:07.123456Z");
    EXPECT_EQ(format_time_human(*time), "2026-11-22 14:31:07 UTC");
}

TEST(ClockTest, ZonesAreApplied)
{
    EXPECT_EQ(parse_time("2026-11-22 14:31:07+02:00"), parse_time("2026-11-22 12:31:07"));
    EXPECT_EQ(parse_time("2026-11-22 14:31:07-0130"), parse_time("2026-11-22 16:01:07 UTC"));
    EXPECT_EQ(parse_time("2026-11-22 15:30:00 +01:00"), parse_time("2026-11-22T14:30:00Z"));
    EXPECT_EQ(parse_time("2026-11-22"), parse_time("2026-11-22 00:00"));
}

TEST(ClockTest, NonsenseIsRefused)
{
    for (const char* text :
         {"", "2026", "2026-13-01", "2026-02-30", "2026-11-22T25:00", "2026-11-22 1:00",
          "2026-11-22 10:00 CET", "2026-11-22T10:00:00.Z", "latest"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

TEST(ClockTest, Durations)
{
    EXPECT_EQ(parse_duration("1h30m"), Duration{90min});
    EXPECT_EQ(parse_duration("250ms"), Duration{250ms});
    EXPECT_FALSE(parse_duration("10"));
    EXPECT_FALSE(parse_duration("-5s"));
    EXPECT_FALSE(parse_duration("5x"));
    EXPECT_EQ(parse_duration("36499d24h"), Duration{24h * 36500});
    for (const char* beyond : {"36500d1ms", "1000000000d", "36500d36500d", "213503982334602d"})
        EXPECT_FALSE(parse_duration(beyond)) << beyond;
    EXPECT_EQ(format_duration(125s), "2 min 5 s");
}

TEST(ClockTest, PostgresEpoch)
{
    EXPECT_EQ(format_time(from_postgres_time(0)), "2000-01-01T00:00:00.000000Z");
}

} // namespace
} // namespace tidemark::base
