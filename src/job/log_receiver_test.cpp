#include "job/log_receiver.h"

#include "base/error.h"
#include "job/segment_testing.h"
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

// rule 15: at a segment's end the last byte is held back (confirmable), but not from a server that
// can only stop with it, or that would be taken for one whose log is not stored.
TEST_F(LogReceiverTest, AServerThatWaitsIsToldItsLastByte)
{
    receiver.open({});
    fill_segment(world.server(0));
    auto end = world.server(0).insert_position().offset;
    receiver.advance(end, std::chrono::steady_clock::now() + std::chrono::seconds{10}, {});
    ASSERT_EQ(receiver.durable().offset, end);
    EXPECT_EQ(world.server(0).slot().restart, end - 1);
    world.server(0).wait_for_confirmation();
    auto turns = 0;
    receiver.keep_up([&] { return ++turns > 50 || world.server(0).slot().restart == end; }, {});
    EXPECT_EQ(world.server(0).slot().restart, end);
    receiver.finish();
    // What that costs.
    world.server(0).discard_log_below(end);
    auto warnings = world.progress().warnings().size();
    LogReceiver again{context, world.group().members[0], *session, *lease};
    again.open({});
    EXPECT_EQ(world.progress().warnings().size(), warnings + 1);
    again.finish();
}

// rule 15: what somebody else confirms on our slot is lost to us.
TEST_F(LogReceiverTest, ASlotThatSomebodyElseMovedIsToldAtTheEnd)
{
    auto& server = world.server(0);
    receiver.open({});
    server.noise(5000);
    auto stored = server.insert_position().offset;
    receiver.advance(stored, std::chrono::steady_clock::now() + std::chrono::seconds{10}, {});
    server.noise(5000);
    auto before = world.progress().warnings().size();
    server.on_operation([&](const std::string& operation) {
        if (operation == "finish_log") server.move_slot(server.insert_position().offset);
    });
    receiver.finish();
    server.on_operation({});
    auto warnings = world.progress().warnings();
    ASSERT_EQ(warnings.size(), before + 1);
    for (const auto& said :
         {model::format_offset(stored), model::format_offset(server.insert_position().offset),
          std::string("somebody else moved it")})
        EXPECT_NE(warnings.back().find(said), std::string::npos)
            << said << " in " << warnings.back();
}

TEST_F(LogReceiverTest, ASlotThatStandsWhereWeMovedItIsNoNews)
{
    auto before = world.progress().warnings().size();
    receiver.open({});
    world.server(0).noise(5000);
    receiver.advance(world.server(0).insert_position().offset,
                     std::chrono::steady_clock::now() + std::chrono::seconds{10}, {});
    world.server(0).noise(5000); // not received
    receiver.finish();
    EXPECT_EQ(world.progress().warnings().size(), before);
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
