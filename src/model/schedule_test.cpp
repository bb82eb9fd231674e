#include "model/schedule.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

base::Time at(std::string_view text)
{
    return base::parse_time(text).value();
}

std::string last(std::string_view schedule, const char* zone, std::string_view now)
{
    auto due = last_due(parse_schedule(schedule).value(), base::TimeZone::find(zone), at(now));
    return due ? base::format_time_human(*due) : "never";
}

std::string next(std::string_view schedule, const char* zone, std::string_view now)
{
    auto due = next_due(parse_schedule(schedule).value(), base::TimeZone::find(zone), at(now));
    return due ? base::format_time_human(*due) : "never";
}

TEST(Schedule, ReadsEveryForm)
{
    for (const auto* good : {"off", "hourly", "hourly :15", "daily", "daily 02:00", "daily 2:00",
                             "weekly", "weekly Sun 03:00", "weekly Fri", "weekly 23:59", "monthly",
                             "monthly 31 03:00", "yearly", "yearly 12-24 18:00"})
        EXPECT_TRUE(parse_schedule(good)) << good;
    for (const auto* bad :
         {"", "dayly", "daily 24:00", "daily 02:60", "daily 2", "daily 02:00 x", "daily :15",
          "hourly 02:00", "weekly Someday", "weekly 1 03:00", "monthly 0", "monthly 32",
          "yearly 13-01", "yearly 12", "off 02:00", "daily -1:00"})
        EXPECT_FALSE(parse_schedule(bad)) << bad;
    auto weekly = parse_schedule("weekly Wed 03:15").value();
    EXPECT_EQ(weekly.weekday, std::chrono::Wednesday);
    EXPECT_EQ(weekly.at, std::chrono::minutes{195});
}

TEST(Schedule, FindsTheNewestMomentAtOrBeforeNow)
{
    EXPECT_EQ(last("off", "UTC", "2026-11-22 12:00:00Z"), "never");
    EXPECT_EQ(last("hourly :15", "UTC", "2026-11-22 12:14:59Z"), "2026-11-22 11:15:00 UTC");
    EXPECT_EQ(last("hourly :15", "UTC", "2026-11-22 12:15:00Z"), "2026-11-22 12:15:00 UTC");
    EXPECT_EQ(last("daily 02:00", "UTC", "2026-11-22 02:00:00Z"), "2026-11-22 02:00:00 UTC");
    EXPECT_EQ(last("daily 02:00", "UTC", "2026-11-22 01:59:59Z"), "2026-11-21 02:00:00 UTC");
    // 2026-11-22 is a Sunday.
    EXPECT_EQ(last("weekly Sun 03:00", "UTC", "2026-11-22 02:00:00Z"), "2026-11-15 03:00:00 UTC");
    EXPECT_EQ(last("weekly Mon 03:00", "UTC", "2026-11-22 02:00:00Z"), "2026-11-16 03:00:00 UTC");
    EXPECT_EQ(last("monthly 31 03:00", "UTC", "2026-11-22 02:00:00Z"), "2026-10-31 03:00:00 UTC");
    EXPECT_EQ(last("monthly 31 03:00", "UTC", "2027-03-01 02:00:00Z"), "2027-02-28 03:00:00 UTC");
    EXPECT_EQ(last("yearly 02-29 00:00", "UTC", "2027-01-01 00:00:00Z"), "2026-02-28 00:00:00 UTC");
    EXPECT_EQ(last("yearly 02-29 00:00", "UTC", "2028-03-01 00:00:00Z"), "2028-02-29 00:00:00 UTC");
}

TEST(Schedule, FollowsTheZone)
{
    EXPECT_EQ(last("daily 02:00", "Europe/Berlin", "2026-11-22 01:00:00Z"),
              "2026-11-22 01:00:00 UTC");
    EXPECT_EQ(last("daily 02:00", "Asia/Kolkata", "2026-11-22 01:00:00Z"),
              "2026-11-21 20:30:00 UTC");
    EXPECT_EQ(last("hourly", "Asia/Kolkata", "2026-11-22 01:00:00Z"), "2026-11-22 00:30:00 UTC");
    EXPECT_EQ(last("daily 23:30", "Pacific/Kiritimati", "2026-11-22 01:00:00Z"),
              "2026-11-21 09:30:00 UTC");
}

// In Berlin the clocks go back on 2026-10-25, 03:00 to 02:00: 02:30 is there twice, at 00:30 and
// 01:30 UTC, and counts once.
TEST(Schedule, RunsARepeatedHourOnce)
{
    const auto* zone = "Europe/Berlin";
    EXPECT_EQ(last("daily 02:30", zone, "2026-10-25 00:29:00Z"), "2026-10-24 00:30:00 UTC");
    EXPECT_EQ(last("daily 02:30", zone, "2026-10-25 00:30:00Z"), "2026-10-25 00:30:00 UTC");
    EXPECT_EQ(last("daily 02:30", zone, "2026-10-25 01:45:00Z"), "2026-10-25 00:30:00 UTC");
    EXPECT_EQ(next("daily 02:30", zone, "2026-10-25 00:45:00Z"), "2026-10-26 01:30:00 UTC");
}

// On 2026-03-29 they go forward, 02:00 to 03:00 at 01:00 UTC: there is no 02:30.
TEST(Schedule, RunsASkippedHourAtTheChange)
{
    const auto* zone = "Europe/Berlin";
    EXPECT_EQ(last("daily 02:30", zone, "2026-03-29 00:59:00Z"), "2026-03-28 01:30:00 UTC");
    EXPECT_EQ(last("daily 02:30", zone, "2026-03-29 01:00:00Z"), "2026-03-29 01:00:00 UTC");
    EXPECT_EQ(next("daily 02:30", zone, "2026-03-29 01:00:00Z"), "2026-03-30 00:30:00 UTC");
}

// Every moment that is due once comes again as the next one of the moment before it: none is
// skipped and none comes twice, whatever the clocks do.
TEST(Schedule, LastAndNextAgreeThroughAYear)
{
    for (const auto* text : {"hourly :20", "daily 02:30", "weekly Sun 02:30", "monthly 29 02:30"}) {
        auto schedule = parse_schedule(text).value();
        for (const auto* name : {"UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney"}) {
            auto zone = base::TimeZone::find(name);
            auto now = at("2026-01-01 00:00:00Z");
            auto end = at("2027-01-01 00:00:00Z");
            auto previous = last_due(schedule, zone, now).value();
            std::size_t count = 0;
            while (now < end) {
                auto due = next_due(schedule, zone, now).value();
                ASSERT_GT(due, now);
                ASSERT_EQ(last_due(schedule, zone, due), due);
                ASSERT_EQ(last_due(schedule, zone, due - std::chrono::seconds{1}), previous)
                    << text << ' ' << name << ' ' << base::format_time(due);
                previous = due;
                now = due;
                ++count;
            }
            if (schedule.every == Schedule::Every::day) {
                EXPECT_NEAR(static_cast<double>(count), 365, 1);
            }
        }
    }
}

TEST(Schedule, RefusesAnUnknownZone)
{
    EXPECT_THROW(base::TimeZone::find("Europe/Atlantis"), base::Error);
    EXPECT_EQ(base::TimeZone::find("UTC").to_time(
                  base::TimeZone::find("UTC").to_local(at("2026-11-22 12:00:00Z"))),
              at("2026-11-22 12:00:00Z"));
}

} // namespace
} // namespace tidemark::model
