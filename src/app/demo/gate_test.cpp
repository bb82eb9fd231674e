#include "app/demo/gate.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace tidemark::app {
namespace {

TEST(GateTest, AStopIsHeardAtAnOpenGate)
{
    Gate gate;
    std::stop_source stop;
    EXPECT_TRUE(gate.enter(stop.get_token()));
    gate.leave();
    stop.request_stop();
    EXPECT_FALSE(gate.enter(stop.get_token()));
}

TEST(GateTest, CloseWaitsForThoseInside)
{
    Gate gate;
    ASSERT_TRUE(gate.enter({}));
    std::atomic<bool> closed = false;
    std::jthread closer{[&] {
        gate.close();
        closed = true;
    }};
    EXPECT_FALSE(closed);
    gate.leave();
    closer.join();
    EXPECT_TRUE(closed);
}

TEST(GateTest, AClosedGateHoldsUntilOpenedOrStopped)
{
    Gate gate;
    gate.close();
    std::stop_source stop;
    std::atomic<int> entered = 0;
    std::jthread one{[&] { entered += gate.enter(stop.get_token()) ? 1 : 0; }};
    stop.request_stop();
    one.join();
    EXPECT_EQ(entered, 0);
    std::jthread two{[&] { entered += gate.enter({}) ? 1 : 0; }};
    EXPECT_EQ(entered, 0);
    gate.open();
    two.join();
    EXPECT_EQ(entered, 1);
}

} // namespace
} // namespace tidemark::app
