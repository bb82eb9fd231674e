#include "job/log_receiver.h"

#include "base/error.h"
#include "job/world_testing.h"

namespace tidemark::job {
namespace {

class LogReceiverTest : public ::testing::Test {
protected:
    World world;
    Context context = world.context();
    std::unique_ptr<repo::Lease> lease =
        repo::Lease::acquire(world.storage(), "shop", "log", context.owner(), {.renew = false});
    std::unique_ptr<engine::Session> session = connect(context, world.group().members[0]);
    LogReceiver receiver{context, world.group().members[0], *session, *lease};
};

// A member that waits for the others of its group stores what it has, by size and by time.
TEST_F(LogReceiverTest, APieceIsClosedByTime)
{
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

// What a server says of its own past is foreign input.
TEST_F(LogReceiverTest, ATimelineThatEndedBelowWhatWasSentIsRefused)
{
    receiver.open({});
    auto stored = receiver.durable().offset;
    world.server(0).noise(5000);
    auto turns = 0;
    try {
        receiver.keep_up(
            [&] {
                if (++turns == 30) world.server(0).promote(stored + 10);
                return turns > 200;
            },
            {});
        FAIL() << "it went on";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch);
        EXPECT_NE(std::string(error.what()).find("says that timeline 1 ended at"),
                  std::string::npos)
            << error.what();
    }
    EXPECT_EQ(receiver.durable().offset, stored) << "what was taken back was stored";
}

} // namespace
} // namespace tidemark::job
