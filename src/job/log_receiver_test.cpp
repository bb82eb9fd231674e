#include "job/log_receiver.h"

#include "job/world_testing.h"

namespace tidemark::job {
namespace {

// A member that waits for the others of its group stores what it has, by size and by time.
TEST(LogReceiverTest, APieceIsClosedByTime)
{
    World world;
    auto context = world.context();
    const auto& member = world.group().members[0];
    auto lease =
        repo::Lease::acquire(world.storage(), "shop", "log", context.owner(), {.renew = false});
    auto session = connect(context, member);
    LogReceiver receiver(context, member, *session, *lease);
    receiver.open({});
    auto before = receiver.durable().offset;
    auto turns = 0;
    receiver.keep_up(
        [&] {
            ++turns;
            if (turns == 1) world.server(0).noise(5000);
            if (turns == 20) {
                EXPECT_EQ(receiver.durable().offset, before) << "a small piece waits for more";
                world.clock().advance(std::chrono::seconds{11});
            }
            return turns > 200 || receiver.durable().offset > before;
        },
        {});
    EXPECT_GE(receiver.durable().offset, before + 5000);
    receiver.finish();
}

} // namespace
} // namespace tidemark::job
