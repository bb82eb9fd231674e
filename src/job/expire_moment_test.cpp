// Moments of the past that somebody recorded: they age from then on.

#include "job/expire_testing.h"
#include "job/moment.h"

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;

TEST_F(ExpireTest, AMomentAgesFromWhenItWasRecorded)
{
    World world;
    world.group().keep_days = 3;
    place_mark(world.context(), MarkOptions{});
    world.clock().advance(1min);
    world.work();
    world.clock().advance(1min);
    auto past = world.clock().now();
    world.clock().advance(1min);
    world.work();
    place_mark(world.context(), MarkOptions{});
    live(world, 5);
    auto found = find_moment(world.context(), world.view(), past);
    auto recorded = record_moment(world.context(), found, "before").number();
    world.work();
    place_mark(world.context(), MarkOptions{});
    expire(world.context(), options(world));
    EXPECT_EQ(plan_of(world).marks.at(recorded).why, "young: every mark stays");
    EXPECT_TRUE(repo::plan_restore(world.view(), recorded).plan.has_value());
    world.check_whole();

    live(world, 2);
    world.clock().advance(12h);
    expire(world.context(), options(world));
    EXPECT_EQ(plan_of(world).marks.at(recorded).why, "a moment that was recorded");
    EXPECT_TRUE(repo::plan_restore(world.view(), recorded).plan.has_value());

    live(world, 2);
    expire(world.context(), options(world));
    EXPECT_FALSE(repo::Marks(world.storage(), "shop").load(recorded).has_value());
    world.check_whole();
}

} // namespace
} // namespace tidemark::job
