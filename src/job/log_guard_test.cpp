#include "job/log_guard.h"

#include "base/error.h"
#include "job/leave.h"
#include "job/run.h"
#include "job/status.h"
#include "job/world_testing.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <thread>

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;

/// By whose clusters the world's repository knows its members.
GuardedGroup guarded_group(World& world, const Context& context)
{
    return {.group = world.group(),
            .engine = context.engine,
            .progress = context.progress,
            .stop = {},
            .clusters = [] {
                return KnownClusters{{"a", "70000000000000000a"}, {"b", "70000000000000000b"}};
            }};
}

// A server whose log nobody takes: warn, then drop, and the next run heals it.
TEST(LogGuard, DropsTheSlotBeforeTheDiskIsFullAndTheNextRunHeals)
{
    World world;
    auto context = world.context();
    auto guarded = guarded_group(world, context);
    world.group().log_guard = {.warn = 0.001, .drop = 0.9};
    world.server(0).noise(2U << 20);
    EXPECT_TRUE(relieve_servers(guarded).empty());
    EXPECT_TRUE(world.server(0).slot().exists);
    EXPECT_EQ(world.progress().warnings().size(), 1U);
    world.group().log_guard.drop = 0.0015;
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("a: THE LOG CHAIN IS BROKEN")) << dropped[0];
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
    EXPECT_TRUE(run_scheduled(world.context()).healed);
    world.group().log_guard.drop = std::nullopt;
    world.server(0).noise(4U << 20);
    EXPECT_TRUE(relieve_servers(guarded).empty());
}

TEST(LogGuard, ASlotOfAnotherClusterIsNotOurs)
{
    World world;
    auto context = world.context();
    auto guarded = guarded_group(world, context);
    world.group().log_guard = {.warn = 0.001, .drop = 0.001};
    for (std::size_t i : {0U, 1U})
        world.server(i).noise(4U << 20);
    world.server(1).change_system_id("7099");
    watch_held_log(guarded);
    EXPECT_EQ(world.progress().warnings().size(), 1U) << "that of the other cluster is not ours";
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("a: "));
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
    auto said = world.progress().warnings();
    auto left = std::ranges::find_if(said, [](const auto& one) {
        return one.find("b: the slot tidemark_shop there holds") == 0 &&
               one.find("its system identifier is 7099") != one.npos;
    });
    EXPECT_NE(left, said.end());
}

TEST(LogGuard, WithNothingToCompareWithNothingIsDropped)
{
    World world;
    auto context = world.context();
    auto guarded = guarded_group(world, context);
    world.group().log_guard = {.warn = 0.001, .drop = 0.001};
    world.server(0).noise(4U << 20);
    guarded.clusters = [] { return std::nullopt; };
    EXPECT_TRUE(relieve_servers(guarded).empty());
    guarded.clusters = [] { return KnownClusters{}; };
    EXPECT_TRUE(relieve_servers(guarded).empty());
    EXPECT_TRUE(world.server(0).slot().exists);
    EXPECT_EQ(world.progress().warnings().size(), 2U);
}

TEST(LogGuard, EverySlotThatIsDroppedIsToldAtOnce)
{
    World world;
    auto context = world.context();
    auto guarded = guarded_group(world, context);
    world.group().log_guard = {.warn = 0.001, .drop = 0.001};
    for (std::size_t i : {0U, 1U})
        world.server(i).noise(4U << 20);
    std::vector<std::string> told;
    guarded.dropped = [&](const std::string& sentence) { told.push_back(sentence); };
    auto dropped = relieve_servers(guarded);
    std::ranges::sort(told);
    EXPECT_EQ(told.size(), 2U);
    EXPECT_EQ(told, dropped);
}

// Each wait for a server that hangs is as long as a mark's: one is enough.
TEST(LogGuard, NobodyWaitsTwiceForWhoDoesNotAnswer)
{
    World world;
    auto context = world.context();
    auto guarded = guarded_group(world, context);
    int connects = 0;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "connect") return;
        ++connects;
        std::this_thread::sleep_for(2100ms);
        throw base::Error{Code::member_unreachable, "no connection", {.transient = true}};
    });
    watch_held_log(guarded);
    EXPECT_TRUE(guarded.absent->has("b"));
    auto before = world.server(0).slot().restart;
    world.server(0).noise(200'000);
    try {
        run_scheduled(context, *guarded.absent);
        ADD_FAILURE() << "a mark without b";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::member_unreachable);
        EXPECT_NE(std::string(error.what()).find("member b: no connection"), std::string::npos);
    }
    EXPECT_GT(world.server(0).slot().restart, before) << "the log of who answers is taken";
    relieve_servers(guarded);
    auto status = read_status(context, world.view(), {.absent = guarded.absent->all()});
    EXPECT_FALSE(status.members[1].error.empty());
    EXPECT_EQ(connects, 1);
}

TEST(Leave, DropsNothingAtAnotherCluster)
{
    World world;
    world.server(1).change_system_id("7099");
    auto left = drop_slots(world.context());
    ASSERT_EQ(left.size(), 2U);
    EXPECT_FALSE(left[0].other_cluster);
    EXPECT_TRUE(left[0].problem.empty());
    EXPECT_TRUE(left[1].other_cluster);
    EXPECT_NE(left[1].problem.find("7099"), std::string::npos) << left[1].problem;
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
}

TEST(LogGuard, TheNearerEndCounts)
{
    engine::SlotState slot;
    slot.exists = true;
    slot.held_bytes = 400;
    slot.bound_bytes = 1000;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0.4);
    slot.disk_free = 100;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0.8);
    slot.bound_bytes = std::nullopt;
    slot.disk_free = std::nullopt;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0);
    model::LogGuard policy{.warn = 0.5, .drop = 0.9};
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.49, .where = ""}), GuardAction::none);
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.5, .where = ""}), GuardAction::warn);
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.9, .where = ""}), GuardAction::drop);
    slot.lost = true;
    EXPECT_EQ(guard_action(policy, slot, {.share = 2, .where = ""}), GuardAction::none);
}

} // namespace
} // namespace tidemark::job
