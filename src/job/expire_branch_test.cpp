// Retention and what a failover left behind; and how long a tombstone waits.

#include "job/expire_testing.h"
#include "repo/holds.h"

#include <limits>

namespace tidemark::job {
namespace {

// rule 13
TEST_F(ExpireTest, AnAbandonedBranchStaysWhileAMarkNeedsIt)
{
    World world;
    world.group().keep_days = 1;
    auto& server = world.server(0);
    // The branch lies within one segment, so that the slot has not passed it.
    while (server.insert_position().offset % engine::fake::kSegmentSize > 1000)
        server.noise(1);
    back_up_log(world.context()); // a piece ends at the fork
    auto fork = server.insert_position().offset;
    server.noise(30'000);
    auto held = place_mark(world.context(), MarkOptions{}).mark;
    ASSERT_GT(held.value.members[0].cut.offset, fork);
    repo::HoldBook book(world.storage(), "shop");
    book.hold({.mark = held.number(),
               .note = "audit",
               .by = "here",
               .since = world.clock().now(),
               .until = {}});
    server.promote(fork);
    live(world, 3);
    auto opts = options(world);
    opts.join_at_least = std::numeric_limits<std::size_t>::max(); // pieces stay as they are
    EXPECT_GT(expire(world.context(), opts).removed, 0U);
    EXPECT_TRUE(repo::plan_restore(world.view(), held.number()).plan.has_value());
}

// rule 32
TEST_F(ExpireTest, ATombstoneWaitsLongerThanALeaseAndTheErrorOfClocks)
{
    World world;
    EXPECT_GE(ExpireOptions{}.settle, world.context().lease_ttl + std::chrono::seconds{30});
}

} // namespace
} // namespace tidemark::job
