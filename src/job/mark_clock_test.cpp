#include "job/world_testing.h"

namespace tidemark::job {
namespace {

/// The error of a's clock in a mark, in seconds.
double clock_error(const MarkOutcome& outcome)
{
    const auto& clock = outcome.mark.value.members.at(0).clock;
    return clock ? std::chrono::duration<double>(clock->error).count() : -1;
}

TEST(MarkClockTest, EventsFromBeforeAStepOfTheClockAreNotTimedByTheNewOne)
{
    World world;
    auto theirs = std::make_unique<base::FakeClock>(world.clock().now());
    world.server(0).set_clock(*theirs);
    EXPECT_LT(clock_error(place_mark(world.context(), MarkOptions{})), 1);
    world.work();
    theirs->advance(std::chrono::hours{1});
    // What was prepared before carries the old time, what comes now the new one.
    EXPECT_GE(clock_error(place_mark(world.context(), MarkOptions{})), 30 * 60);
    world.work();
    EXPECT_LT(clock_error(place_mark(world.context(), MarkOptions{})), 1);
}

// rule 13: what two servers' clocks say is not what one of them said twice
TEST(MarkClockTest, BehindAFailoverTheReadingCoversBothServersClocks)
{
    World world;
    auto theirs = std::make_unique<base::FakeClock>(world.clock().now());
    world.server(0).set_clock(*theirs);
    place_mark(world.context(), MarkOptions{});
    // Ten hours may have brought the first server's clock to where the second one's stands.
    for (base::FakeClock* clock : {&world.clock(), theirs.get()})
        clock->advance(std::chrono::hours{10});
    auto other = std::make_unique<base::FakeClock>(theirs->now());
    other->advance(std::chrono::seconds{5});
    world.server(0).promote();
    world.server(0).set_clock(*other);
    auto clock = place_mark(world.context(), MarkOptions{}).mark.value.members.at(0).clock;
    ASSERT_TRUE(clock.has_value());
    EXPECT_LE(clock->offset - clock->error, base::Duration{0});
    EXPECT_GE(clock->offset + clock->error, base::Duration{std::chrono::seconds{5}});
    EXPECT_LT(clock_error(place_mark(world.context(), MarkOptions{})), 1);
}

// rule 13
TEST(MarkClockTest, NobodyReadTheClockBeforeAFailoverBelowTheFirstMark)
{
    World world;
    world.server(0).promote(world.view().marks.front().value.members.at(0).r);
    auto mark = place_mark(world.context(), MarkOptions{}).mark.value;
    ASSERT_FALSE(mark.previous.has_value());
    EXPECT_FALSE(mark.members.at(0).clock.has_value());
    EXPECT_TRUE(mark.members.at(1).clock.has_value());
}

} // namespace
} // namespace tidemark::job
