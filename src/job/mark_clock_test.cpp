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

} // namespace
} // namespace tidemark::job
