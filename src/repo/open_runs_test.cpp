#include "repo/open_runs.h"

#include "repo/repo_testing.h"
#include "store/faulty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::remote_owner;
using ::testing::SizeIs;
using testing::TestStore;

std::unique_ptr<Lease> begin(TestStore& t)
{
    return leave_trace(t.storage, "shop", remote_owner("run"), {.renew = false});
}

/// As kill -9 does it: nothing is released.
void break_off(TestStore& t)
{
    auto lease = begin(t);
    t.storage.crash_at(1);
    lease.reset();
    t.storage.reopen();
}

TEST(OpenRuns, ARunThatEndsLeavesNothing)
{
    TestStore t;
    auto lease = begin(t);
    ASSERT_THAT(open_runs(t.storage, "shop"), SizeIs(1));
    EXPECT_FALSE(open_runs(t.storage, "shop")[0].broken_off);
    lease.reset();
    EXPECT_THAT(open_runs(t.storage, "shop"), IsEmpty());
    EXPECT_THAT(record_broken_off(t.storage, "shop", remote_owner("run")), IsEmpty());
    EXPECT_THAT(Runs(t.storage, "shop").list(), IsEmpty());
}

TEST(OpenRuns, OneThatWasBrokenOffIsRecordedOnceAndStillBefore)
{
    TestStore t;
    break_off(t);
    // On another machine it is silent for its time first: it may be alive.
    EXPECT_FALSE(open_runs(t.storage, "shop").at(0).broken_off);
    EXPECT_THAT(record_broken_off(t.storage, "shop", remote_owner("run")), IsEmpty());
    t.clock.advance(std::chrono::minutes{2});
    EXPECT_TRUE(open_runs(t.storage, "shop").at(0).broken_off);

    auto recorded = record_broken_off(t.storage, "shop", remote_owner("run"));
    ASSERT_THAT(recorded, SizeIs(1));
    auto runs = Runs(t.storage, "shop").list();
    ASSERT_THAT(runs, SizeIs(1));
    EXPECT_TRUE(runs[0].value.broken_off);
    EXPECT_EQ(runs[0].value.command, "run");
    EXPECT_EQ(runs[0].value.host, "elsewhere");
    EXPECT_EQ(runs[0].value.exit_code, 1);
    EXPECT_THAT(runs[0].value.error->message, HasSubstr("broken off"));
    EXPECT_THAT(open_runs(t.storage, "shop"), IsEmpty());
    EXPECT_THAT(record_broken_off(t.storage, "shop", remote_owner("run")), IsEmpty());
}

TEST(OpenRuns, ADeadProcessOfThisMachineIsSeenAtOnce)
{
    TestStore t;
    auto dead = testing::owner("mark");
    ++dead.pid_start; // the pid belongs to somebody else by now
    auto lease = leave_trace(t.storage, "shop", dead, {.renew = false});
    EXPECT_TRUE(open_runs(t.storage, "shop").at(0).broken_off);
}

TEST(OpenRuns, ADeathAtAnyStepOfRecordingLosesNothing)
{
    for (std::size_t k = 1;; ++k) {
        ASSERT_LT(k, 100U);
        TestStore t;
        break_off(t);
        t.clock.advance(std::chrono::minutes{2});
        t.storage.crash_at(k);
        bool died = false;
        try {
            (void)record_broken_off(t.storage, "shop", testing::owner("run"));
        } catch (const store::CrashError&) {
            died = true;
        }
        died = died || t.storage.crashed();
        t.storage.reopen();
        t.clock.advance(std::chrono::minutes{2}); // whoever died holds nothing any more
        (void)record_broken_off(t.storage, "shop", remote_owner("run"));
        std::size_t of_the_first = 0;
        for (const auto& run : Runs(t.storage, "shop").list())
            of_the_first += run.value.started == testing::test_time() ? 1U : 0U;
        EXPECT_EQ(of_the_first, 1U) << "died at step " << k;
        if (!died) break;
    }
}

TEST(OpenRuns, ManyRunsAndManyDeathsStayAFewObjects)
{
    TestStore t;
    for (int i = 0; i < 100; ++i) {
        if (i % 3 == 0) {
            break_off(t);
            t.clock.advance(std::chrono::minutes{2});
        }
        (void)record_broken_off(t.storage, "shop", remote_owner("run"));
        begin(t).reset();
    }
    EXPECT_LE(t.storage.list("groups/shop/leases/").size(), 4U);
    EXPECT_THAT(Runs(t.storage, "shop").list(), SizeIs(34));
    // Nobody records: the places end, the runs go on.
    for (int i = 0; i < 40; ++i)
        break_off(t);
    EXPECT_EQ(begin(t), nullptr);
    EXPECT_LE(t.storage.list("groups/shop/leases/").size(), 40U);
}

TEST(OpenRuns, SeveralAtOnceAndAStoreThatTakesNothing)
{
    TestStore t;
    auto first = begin(t);
    auto second = begin(t);
    EXPECT_THAT(open_runs(t.storage, "shop"), SizeIs(2));
    store::FaultyStorage frozen(
        std::shared_ptr<store::Storage>(&t.storage, [](store::Storage*) {}));
    frozen.set_read_only(true);
    EXPECT_EQ(leave_trace(frozen, "shop", remote_owner("run")), nullptr);
}

} // namespace
} // namespace tidemark::repo
