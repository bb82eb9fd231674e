// Full backups that fail again and again: what they cost, and when they are tried.

#include "job/failed_full.h"

#include "base/error.h"
#include "job/backup.h"
#include "job/expire_testing.h"
#include "job/member_backup.h"
#include "job/run.h"
#include "job/status.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;
using repo::KeyKind;

/// Minutes pass from one question to the next.
class SlowClock final : public base::Clock {
public:
    base::Time now() override { return start_ + 6min * ++asked_; }
    std::chrono::steady_clock::time_point steady() override
    {
        return std::chrono::steady_clock::now();
    }

private:
    base::Time start_ = *base::parse_time("2026-11-23T12:00:00Z");
    std::atomic<int> asked_ = 0;
};

class FailedFullTest : public ExpireTest {
protected:
    FailedFullTest()
    {
        world.group().full = model::parse_schedule("daily 02:00").value();
        world.clock().advance(24h);
        world.work();
    }

    /// From now on b's copy fails, after that of a was finished.
    void break_late(Code code = Code::failed)
    {
        world.server(1).on_operation([this, code](const std::string& operation) {
            if (operation == "begin_backup") ++begun;
            if (operation != "copy") return;
            repo::Backups of_a(world.storage(), {"shop", "a"});
            auto before = backups_of_a.load();
            auto patience = std::chrono::steady_clock::now() + 10s;
            while (of_a.next_number() == before && std::chrono::steady_clock::now() < patience)
                std::this_thread::yield();
            throw base::Error{code, "a file cannot be read"};
        });
    }

    /// From now on full backups are stopped before a copy is finished.
    void stop_early()
    {
        for (std::size_t member = 0; member < 2; ++member)
            world.server(member).on_operation([](const std::string& operation) {
                if (operation == "copy") throw base::Error{Code::cancelled, "stopped"};
            });
    }

    /// One scheduled run; whether it tried a full backup.
    bool run_once()
    {
        backups_of_a = repo::Backups(world.storage(), {"shop", "a"}).next_number();
        int before = begun;
        try {
            run_scheduled(world.context());
        } catch (const base::Error& error) {
            EXPECT_NE(std::string(error.what()).find("cannot be read"), std::string::npos)
                << error.what();
        }
        return begun != before;
    }

    World world;
    std::atomic<int> begun = 0;
    std::atomic<model::Number> backups_of_a = 0;
};

TEST_F(FailedFullTest, TenInARowLeaveLittleAndAreTriedEverMoreRarely)
{
    auto manifests = count(world, KeyKind::manifest);
    break_late();
    std::vector<base::Time> tries;
    for (int i = 0; tries.size() < 10 && i < 20'000; ++i) {
        if (run_once()) {
            tries.push_back(world.clock().now());
            // Of a, whose copy was finished; retention removes them after a day.
            EXPECT_EQ(count(world, KeyKind::manifest), manifests + tries.size());
        }
        world.clock().advance(tries.size() < 2 ? base::Duration{1min} : base::Duration{30min});
    }
    ASSERT_EQ(tries.size(), 10U);
    for (std::size_t i = 1; i < tries.size(); ++i) {
        auto pause = std::min<base::Duration>(1h * (1 << (i - 1)), 24h);
        EXPECT_GE(tries[i] - tries[i - 1], pause) << i;
        EXPECT_LE(tries[i] - tries[i - 1], pause + 31min) << i;
    }
    world.check_whole();
    EXPECT_TRUE(repo::newest_restorable(world.view()).has_value());

    world.server(1).on_operation({});
    world.clock().advance(24h);
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
    EXPECT_EQ(count(world, KeyKind::manifest), manifests + 10 + 2);
    EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, 0U) << "it is over";
    world.check_whole();

    world.clock().advance(25h);
    world.work();
    place_mark(world.context(), MarkOptions{});
    expire(world.context(), options(world));
    EXPECT_LE(count(world, KeyKind::manifest), manifests + 2) << "what no set names is gone";
}

TEST_F(FailedFullTest, OneThatIsStoppedAfterMuchWorkCountsToo)
{
    // As by the time limit of a timer's unit: a's copy is finished each time.
    break_late(Code::cancelled);
    std::uint64_t counted = 0;
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(run_once()) << i;
        EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, ++counted);
        EXPECT_FALSE(run_once()) << "paused after " << counted;
        world.clock().advance(1h * (1 << i));
    }
}

TEST_F(FailedFullTest, OneThatIsStoppedAfterMinutesCountsToo)
{
    stop_early();
    SlowClock slow;
    auto context = world.context();
    Context slowly{.repository = context.repository,
                   .engine = context.engine,
                   .group = context.group,
                   .progress = context.progress,
                   .clock = slow,
                   .stop = {},
                   .compression_level = 1,
                   .workers = 1,
                   .command = "test",
                   .host = "here"};
    EXPECT_THROW(back_up_group(slowly, {}), base::Error);
    EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, 1U);
}

TEST_F(FailedFullTest, OneThatIsStoppedInItsFirstMomentsDoesNotCount)
{
    stop_early();
    EXPECT_THROW(run_scheduled(world.context()), base::Error);
    EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, 0U);
    for (std::size_t member = 0; member < 2; ++member)
        world.server(member).on_operation({});
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value()) << "at once";
}

TEST_F(FailedFullTest, ABackupThatIsAskedForDoesNotWait)
{
    break_late();
    EXPECT_TRUE(run_once());
    EXPECT_FALSE(run_once());
    world.server(1).on_operation({});
    back_up_group(world.context(), {});
    EXPECT_FALSE(run_scheduled(world.context()).decision.paused);
}

TEST_F(FailedFullTest, WhereTheChainBrokeAFinishedBackupStaysAndHeals)
{
    break_late();
    world.server(0).noise(200'000);
    world.server(0).lose_slot();
    EXPECT_TRUE(run_once());
    EXPECT_EQ(repo::Backups(world.storage(), {"shop", "a"}).list().size(), 2U);
    EXPECT_EQ(repo::Backups(world.storage(), {"shop", "b"}).list().size(), 1U);
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.decision.paused);
    EXPECT_FALSE(run.healed);
    EXPECT_TRUE(repo::plan_restore(world.view(), run.mark.mark.number()).plan.has_value())
        << "with a's new one and b's old one";
    world.clock().advance(1h);
    EXPECT_TRUE(run_once());
    EXPECT_EQ(repo::Backups(world.storage(), {"shop", "a"}).list().size(), 3U)
        << "until retention takes it";
    world.check_whole();
}

TEST_F(FailedFullTest, ABrokenChainIsTriedAgainSooner)
{
    break_late();
    world.server(1).noise(200'000);
    world.server(1).lose_slot();
    EXPECT_TRUE(run_once()) << "at once";
    EXPECT_FALSE(run_once());
    world.clock().advance(5min);
    EXPECT_TRUE(run_once());
    world.clock().advance(5min);
    EXPECT_FALSE(run_once());
    world.clock().advance(5min);
    world.server(1).on_operation({});
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed);
    EXPECT_TRUE(run.backup.has_value());
}

TEST_F(FailedFullTest, TriesOfTheScheduleDoNotHoldUpABrokenChain)
{
    break_late();
    for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(run_once()) << i;
        world.clock().advance(i < 9 ? 25h : 1h);
    }
    EXPECT_FALSE(run_once()) << "by schedule there is a day between them";
    world.server(1).noise(200'000);
    world.server(1).lose_slot();
    EXPECT_TRUE(run_once());
}

TEST_F(FailedFullTest, TheFirstToHealAChainIsTakenAtOnceAndCountsAnew)
{
    break_late();
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(run_once()) << i;
        world.clock().advance(i < 4 ? 25h : 5min);
    }
    EXPECT_FALSE(run_once()) << "a mark only";
    world.clock().advance(1min);
    world.server(1).noise(200'000);
    connect(world.context(), world.group().members[1])->drop_slot();
    EXPECT_TRUE(run_once()) << "at once";
    EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, 1U);
    EXPECT_FALSE(run_once()) << "five minutes";
    world.clock().advance(5min);
    EXPECT_TRUE(run_once());
    world.clock().advance(5min);
    EXPECT_FALSE(run_once()) << "ten";
    world.clock().advance(5min);
    world.server(1).on_operation({});
    auto run = run_scheduled(world.context());
    EXPECT_TRUE(run.healed || run.decision.broken) << run.decision.why;
    EXPECT_TRUE(run.backup.has_value());
    world.check_whole();
}

TEST_F(FailedFullTest, StatusWantsEyesAndSaysWhenTheNextTryIs)
{
    auto reason = [&](const std::string& name) {
        for (const auto& one : read_status(world.context(), world.view(), {}).attention())
            if (one.name == name) return one.text;
        return std::string("none");
    };
    EXPECT_EQ(reason("full backups fail"), "none");
    break_late();
    EXPECT_TRUE(run_once());
    EXPECT_FALSE(run_once()) << "a mark, and all seems well";
    EXPECT_TRUE(read_status(world.context(), world.view(), {}).needs_attention());
    EXPECT_NE(reason("full backups fail").find("the next try is due at"), std::string::npos);
    world.server(1).lose_slot();
    EXPECT_NE(reason("slot lost").find("the next try is due at"), std::string::npos)
        << reason("slot lost");
    world.clock().advance(1h);
    EXPECT_NE(reason("slot lost").find("the next tidemark run"), std::string::npos)
        << reason("slot lost");
    EXPECT_NE(reason("full backups fail").find("the next tidemark run tries again"),
              std::string::npos)
        << "the pause is over, and nothing is mended yet: " << reason("full backups fail");
    std::string meanwhile;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation == "copy" && meanwhile.empty()) meanwhile = reason("full backups fail");
    });
    run_scheduled(world.context());
    world.server(1).on_operation({});
    EXPECT_NE(meanwhile.find("(1 since one worked); one is being taken now"), std::string::npos)
        << "it may take hours: " << meanwhile;
    EXPECT_EQ(reason("full backups fail"), "none");
}

TEST_F(FailedFullTest, TheFirstOneIsTriedAgainAfterFiveMinutes)
{
    NewGroup fresh;
    for (auto pause : {0min, 5min, 10min}) {
        fresh.clock().advance(pause);
        fresh.server(1).fail("copy", base::Error{Code::failed, "a file cannot be read"});
        EXPECT_THROW(run_scheduled(fresh.context()), base::Error);
        auto paused = run_scheduled(fresh.context());
        EXPECT_FALSE(paused.backup.has_value());
        EXPECT_TRUE(paused.decision.paused);
    }
    fresh.clock().advance(20min);
    EXPECT_TRUE(run_scheduled(fresh.context()).backup.has_value());
}

TEST_F(FailedFullTest, OneThatWasKilledCountsAndItsRemainsGoAfterADay)
{
    auto manifests = count(world, KeyKind::manifest);
    // As two leave it that are killed after a's backup: manifests that no set names.
    for (int i = 0; i < 2; ++i) {
        auto full =
            repo::Lease::acquire(world.storage(), "shop", kFullActivity, world.context().owner(),
                                 {.ttl = 60s, .renew = false, .count_tries = true});
        auto session = connect(world.context(), world.group().members[0]);
        back_up_member(world.context(), world.group().members[0], *session, {});
        full->release(); // not succeeded()
    }
    EXPECT_EQ(count(world, KeyKind::manifest), manifests + 2);
    EXPECT_EQ(read_failed_fulls(world.storage(), world.view()).count, 2U);
    EXPECT_TRUE(run_scheduled(world.context()).decision.paused);
    expire(world.context(), options(world));
    EXPECT_EQ(count(world, KeyKind::manifest), manifests + 2) << "a set may still name them";
    auto packs = count(world, KeyKind::pack);
    world.clock().advance(25h);
    world.work();
    place_mark(world.context(), MarkOptions{});
    expire(world.context(), options(world));
    EXPECT_EQ(count(world, KeyKind::manifest), manifests + 1) << "the newest stays";
    EXPECT_LT(count(world, KeyKind::pack), packs);
    check_good(world);
}

} // namespace
} // namespace tidemark::job
