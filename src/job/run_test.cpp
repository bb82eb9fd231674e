#include "job/moment.h"
#include "job/run.h"

#include "base/error.h"
#include "job/world_testing.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;

// The world begins at 2026-11-22 12:00 UTC with a first full backup.

TEST(Run, TakesAMarkUntilAFullBackupIsDue)
{
    World world;
    world.group().full = model::parse_schedule("daily 02:00").value();
    auto first = run_scheduled(world.context());
    EXPECT_FALSE(first.backup.has_value()) << first.decision.why;
    EXPECT_EQ(first.mark.mark.number(), 2U);
    world.clock().advance(13h + 59min);
    world.work();
    EXPECT_FALSE(run_scheduled(world.context()).backup.has_value());
    world.clock().advance(2min);
    world.work();
    auto due = run_scheduled(world.context());
    ASSERT_TRUE(due.backup.has_value()) << due.decision.why;
    EXPECT_FALSE(due.healed);
    EXPECT_NE(due.decision.why.find("2026-11-23 02:00:00"), std::string::npos) << due.decision.why;
    EXPECT_FALSE(run_scheduled(world.context()).backup.has_value());
    world.check_whole();
}

TEST(Run, TakesTheFirstFullBackupWhateverTheScheduleSays)
{
    model::GroupSpec group;
    group.name = "shop";
    group.full = {};
    EXPECT_TRUE(decide_run(group, {}, base::Time{}).full);
}

TEST(Run, WithTheScheduleOffOnlyABrokenChainNeedsOne)
{
    World world;
    world.group().full = {};
    world.clock().advance(24h * 400);
    EXPECT_FALSE(run_scheduled(world.context()).backup.has_value());
    world.server(1).noise(200'000);
    world.server(1).lose_slot();
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
}

TEST(Run, HealsALostSlotAtOnce)
{
    World world;
    world.server(0).noise(200'000); // several segments that nobody stored
    world.server(0).lose_slot();
    world.work();
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    ASSERT_TRUE(run.backup.has_value());
    EXPECT_FALSE(world.progress().warnings().empty());
    auto view = world.view();
    EXPECT_EQ(repo::newest_restorable(view), run.mark.mark.number());
    EXPECT_FALSE(run_scheduled(world.context()).healed);
    world.check_whole();
}

TEST(Run, ASlotThatWasMissingWhileTheServerKeptItsLogLeavesNoGap)
{
    World world;
    back_up_log(world.context());
    connect(world.context(), world.group().members[0])->drop_slot();
    auto backup = back_up_group(world.context(), {});
    EXPECT_FALSE(backup.members[0].new_chain);
    ASSERT_EQ(world.progress().warnings().size(), 1U);
    EXPECT_NE(world.progress().warnings()[0].find("there is no gap"), std::string::npos)
        << world.progress().warnings()[0];
    connect(world.context(), world.group().members[0])->drop_slot();
    world.server(0).noise(200'000);
    backup = back_up_group(world.context(), {});
    EXPECT_TRUE(backup.members[0].new_chain);
    EXPECT_NE(world.progress().warnings().back().find("is a gap"), std::string::npos);
    world.check_whole();
}

TEST(Run, AMissingSlotIsNoBrokenChainWhereTheServerKeptItsLog)
{
    World world;
    back_up_log(world.context());
    connect(world.context(), world.group().members[0])->drop_slot();
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    ASSERT_TRUE(run.backup.has_value());
    EXPECT_TRUE(run.backup->members[0].new_slot);
    EXPECT_FALSE(run.backup->members[1].new_slot);
    EXPECT_NE(run.decision.why.find("there is no gap"), std::string::npos) << run.decision.why;
    ASSERT_EQ(world.progress().warnings().size(), 2U);
    for (const auto& warning : world.progress().warnings())
        EXPECT_EQ(warning.find("broken"), std::string::npos) << warning;

    connect(world.context(), world.group().members[0])->drop_slot();
    world.server(0).noise(200'000);
    run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    EXPECT_NE(run.decision.why.find("log is missing"), std::string::npos) << run.decision.why;
    world.check_whole();
}

TEST(Run, HealsLogOfMinimalWalLevelAtOnce)
{
    World world;
    auto before = run_scheduled(world.context());
    world.server(0).lower_wal_level();
    world.work();
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    ASSERT_TRUE(run.backup.has_value());
    auto view = world.view();
    EXPECT_EQ(repo::newest_restorable(view), run.mark.mark.number());
    auto good = repo::restorable_marks(view);
    EXPECT_EQ(good,
              (std::vector<model::Number>{1, before.mark.mark.number(), run.mark.mark.number()}))
        << "the mark behind the record counts as restorable";
    auto windows = restore_windows(view);
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_EQ(windows.front().last, before.mark.mark.number());
    EXPECT_EQ(windows.back().first, run.mark.mark.number());
    EXPECT_FALSE(run_scheduled(world.context()).healed);
    world.check_whole();
}

TEST(Run, ARunThatDiedWhileItHealedIsNotForgotten)
{
    World world;
    world.server(0).lower_wal_level();
    world.work();
    place_mark(world.context(), MarkOptions{}); // as far as a run came that was killed then
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    EXPECT_TRUE(run.backup.has_value());
    EXPECT_FALSE(world.progress().warnings().empty());
}

TEST(Run, AFailedFullBackupStillMovesTheLog)
{
    World world;
    world.group().full = model::parse_schedule("daily 02:00").value();
    world.clock().advance(24h);
    world.work();
    world.server(1).fail("copy", base::Error{Code::failed, "a file cannot be read"});
    try {
        run_scheduled(world.context());
        FAIL() << "the failure was swallowed";
    } catch (const base::Error& error) {
        EXPECT_NE(std::string(error.what()).find("cannot be read"), std::string::npos);
    }
    EXPECT_EQ(world.view().marks.size(), 2U);
    auto paused = run_scheduled(world.context());
    EXPECT_FALSE(paused.backup.has_value());
    EXPECT_TRUE(paused.decision.paused);
    EXPECT_EQ(world.view().marks.size(), 3U);
    ASSERT_FALSE(world.progress().warnings().empty());
    EXPECT_NE(world.progress().warnings().back().find("the last one failed"), std::string::npos)
        << world.progress().warnings().back();
    world.clock().advance(1h);
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
}

TEST(Run, AFullBackupStoresTheHeldLogBeforeItsCheckpointCostsTheSlot)
{
    World world;
    world.group().full = model::parse_schedule("daily 02:00").value();
    world.clock().advance(24h);
    auto& server = world.server(0);
    server.noise(400'000);
    std::uint64_t held = 0;
    server.on_operation([&](const std::string& operation) {
        if (operation != "begin_backup") return;
        held = server.slot().held_bytes;
        if (held > 200'000) server.lose_slot(); // as a checkpoint does beyond the bound
    });
    auto run = run_scheduled(world.context());
    server.on_operation({});
    EXPECT_LT(held, 200'000U);
    ASSERT_TRUE(run.backup.has_value()) << run.decision.why;
    EXPECT_FALSE(run.backup->members[0].new_chain);
    EXPECT_FALSE(run.healed);
    EXPECT_TRUE(world.progress().warnings().empty());
    EXPECT_EQ(restore_windows(world.view()).size(), 1U);
    world.check_whole();
}

TEST(Run, AMemberThatIsDownDoesNotStopTheOthersLog)
{
    World world;
    world.group().full = {};
    run_scheduled(world.context());
    auto before = world.server(0).slot().restart;
    world.server(0).noise(200'000);
    world.server(1).set_unreachable(true);
    EXPECT_THROW(run_scheduled(world.context()), base::Error);
    EXPECT_GT(world.server(0).slot().restart, before);
    world.server(1).set_unreachable(false);
    EXPECT_FALSE(run_scheduled(world.context()).backup.has_value());
    world.check_whole();
}

TEST(Run, AMemberThatIsDownDoesNotKeepALogBackupFromTheOthers)
{
    World world;
    auto before = world.server(0).slot().restart;
    world.server(0).noise(200'000);
    world.server(1).set_unreachable(true);
    try {
        back_up_log_of_all(world.context());
        FAIL() << "the failure was swallowed";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::member_unreachable) << error.what();
    }
    EXPECT_GT(world.server(0).slot().restart, before);
    world.server(1).set_unreachable(false);
    EXPECT_EQ(back_up_log_of_all(world.context()).members.size(), 2U);
    world.check_whole();
}

TEST(Run, AServerThatFallsSilentIsGivenUp)
{
    World world;
    world.server(0).noise(20'000);
    world.server(0).set_hanging("next", true);
    auto context = world.context();
    context.silence = 50ms;
    try {
        back_up_log(context);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::member_unreachable) << error.what();
    }
    world.server(0).set_hanging("next", false);
    back_up_log(context);
    world.check_whole();
}

TEST(Run, ASecondRunDuringAFullBackupTakesTheMark)
{
    World world;
    world.group().full = model::parse_schedule("daily 02:00").value();
    world.clock().advance(24h);
    auto other = repo::Lease::acquire(world.storage(), "shop", "backup/a", world.context().owner(),
                                      {.ttl = 60s, .renew = false});
    auto run = run_scheduled(world.context());
    EXPECT_FALSE(run.backup.has_value());
    EXPECT_EQ(run.mark.mark.number(), 2U);
    other->release();
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
}

TEST(Run, AMomentOfThePastBreaksNoChain)
{
    World world;
    world.group().full = {};
    run_scheduled(world.context());
    world.clock().advance(1min);
    world.work();
    world.clock().advance(1min);
    auto past = world.clock().now();
    world.clock().advance(1min);
    world.work();
    run_scheduled(world.context());
    for (int i = 0; i < 2; ++i) {
        world.clock().advance(1h);
        world.work();
        back_up_group(world.context(), {});
    }
    auto found = find_moment(world.context(), world.view(), past);
    EXPECT_TRUE(record_moment(world.context(), found, "then").value.is_moment());
    auto run = run_scheduled(world.context());
    EXPECT_FALSE(run.backup.has_value()) << run.decision.why;
    EXPECT_TRUE(world.progress().warnings().empty());
}

TEST(Run, AFullBackupFromAClockThatWasAheadHidesNoneThatIsDue)
{
    World world; // its first full backup began at 12:00
    world.group().full = model::parse_schedule("daily 02:00").value();
    base::FakeClock ahead(*base::parse_time("2030-01-01T00:00:00Z"));
    auto context = world.context();
    Context wrong{.repository = context.repository,
                  .engine = context.engine,
                  .group = context.group,
                  .progress = context.progress,
                  .clock = ahead,
                  .stop = {},
                  .compression_level = 1,
                  .workers = 1,
                  .command = "test",
                  .host = "here"};
    back_up_group(wrong, {});
    auto before = run_scheduled(world.context());
    EXPECT_FALSE(before.backup.has_value()) << before.decision.why;
    ASSERT_EQ(world.progress().warnings().size(), 1U);
    EXPECT_NE(world.progress().warnings()[0].find("2030-01-01"), std::string::npos);
    world.clock().advance(15h);
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
    auto warnings = world.progress().warnings().size();
    EXPECT_FALSE(run_scheduled(world.context()).backup.has_value());
    EXPECT_EQ(world.progress().warnings().size(), warnings) << "it is over";
}

} // namespace
} // namespace tidemark::job
