#include "repo/lease.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/repo_testing.h"
#include "store/faulty.h"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::owner;
using testing::remote_owner;
using testing::take;
using testing::TestStore;

Error held_error(store::Storage& storage, const LeaseOwner& who)
{
    try {
        auto lease = Lease::acquire(storage, "shop", "log", who, {.renew = false});
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "the lease was given twice";
    return Error{Code::ok, ""};
}

TEST(Lease, SecondOwnerIsToldWhoHoldsIt)
{
    TestStore t;
    auto lease = take(t.storage, "log", remote_owner("tidemark log shop"));
    Error error = held_error(t.storage, remote_owner("tidemark mark"));
    EXPECT_EQ(error.code(), Code::lease_held);
    EXPECT_THAT(error.message(), HasSubstr("tidemark log shop"));
    EXPECT_THAT(error.message(), HasSubstr("on elsewhere"));
    EXPECT_THAT(error.message(), HasSubstr("since 2026-11-22 14:00:00 UTC"));
    EXPECT_THAT(error.hint(), HasSubstr("2026-11-22 14:01:00 UTC"));
}

// rule 31
TEST(Lease, ActivitiesDoNotDisturbEachOther)
{
    TestStore t;
    auto log = take(t.storage, "log");
    auto a = take(t.storage, "backup/orders");
    auto b = take(t.storage, "backup/stock");
    EXPECT_NO_THROW(log->check());
    EXPECT_NO_THROW(a->check());
    EXPECT_NO_THROW(b->check());
}

TEST(Lease, AnotherThreadOfThisProcessIsAnotherOwner)
{
    TestStore t;
    auto lease = take(t.storage, "log", owner("tidemark daemon"));
    held_error(t.storage, owner("tidemark daemon"));
}

TEST(Lease, ReleasedIsFreeAtOnceAndNumbersGrow)
{
    TestStore t;
    auto first = take(t.storage);
    model::Number before = first->number();
    first->renew();
    EXPECT_EQ(first->number(), before) << "the fencing number stays across renewals";
    first.reset();
    auto second = take(t.storage);
    EXPECT_GT(second->number(), before);
}

// rule 31
TEST(Lease, ExpiresByTheStoresClock)
{
    TestStore t;
    auto dead = take(t.storage);
    t.clock.advance(std::chrono::seconds{59});
    held_error(t.storage, remote_owner("tidemark mark"));
    t.clock.advance(std::chrono::seconds{1});
    auto next = take(t.storage);
    EXPECT_GT(next->number(), dead->number());
}

TEST(Lease, RenewalKeepsItAndLeavesFewObjects)
{
    TestStore t;
    auto lease = take(t.storage);
    for (int i = 0; i < 50; ++i) {
        t.clock.advance(std::chrono::seconds{40});
        lease->renew();
        held_error(t.storage, remote_owner("tidemark mark"));
    }
    EXPECT_LE(t.storage.list(leases_prefix("shop", "log")).size(), 3U);
}

TEST(Lease, PausedOwnerFindsItLost)
{
    TestStore t;
    auto paused = take(t.storage);
    t.clock.advance(std::chrono::minutes{5});
    auto next = take(t.storage);
    EXPECT_FALSE(paused->lost());
    EXPECT_THROW(paused->check(), Error);
    EXPECT_TRUE(paused->lost());
    EXPECT_THROW(paused->renew(), Error);
    paused->release();
    EXPECT_NO_THROW(next->check()) << "the stale owner's release must not end the new lease";
}

TEST(Lease, PausedOwnerCannotSlipIntoATrimmedNumber)
{
    TestStore t;
    auto paused = take(t.storage);
    t.clock.advance(std::chrono::minutes{5});
    auto next = take(t.storage);
    for (int i = 0; i < 10; ++i)
        next->renew();
    // The number after the paused owner's is free again, so its conditional create succeeds.
    EXPECT_THROW(paused->renew(), Error);
    EXPECT_NO_THROW(next->check());
}

TEST(Lease, ExpiredButUntakenIsStillOurs)
{
    TestStore t;
    auto lease = take(t.storage);
    t.clock.advance(std::chrono::minutes{5});
    EXPECT_NO_THROW(lease->check());
    held_error(t.storage, remote_owner("tidemark mark"));
}

TEST(Lease, KilledOwnerOnThisMachineIsSucceededAtOnce)
{
    TestStore t;
    pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    LeaseOwner who = LeaseOwner::this_process("tidemark backup");
    who.pid = child;
    // Its start time, as its own process would have read it.
    LeaseOwner probe = who;
    for (std::uint64_t start = who.pid_start; start < who.pid_start + 100'000; ++start) {
        probe.pid_start = start;
        if (probe_owner(probe) == OwnerState::alive) break;
    }
    ASSERT_EQ(probe_owner(probe), OwnerState::alive);
    auto lease = take(t.storage, "log", probe);
    held_error(t.storage, owner("tidemark mark"));
    ::kill(child, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
    EXPECT_EQ(probe_owner(probe), OwnerState::dead) << "a zombie works no more";
    auto next = take(t.storage, "log", owner("tidemark mark"));
    EXPECT_GT(next->number(), lease->number());
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(probe_owner(probe), OwnerState::dead);
}

TEST(Lease, ReusedPidIsAnotherProcess)
{
    LeaseOwner who = owner("tidemark");
    EXPECT_EQ(probe_owner(who), OwnerState::alive);
    ++who.pid_start;
    EXPECT_EQ(probe_owner(who), OwnerState::dead);
    EXPECT_EQ(probe_owner(remote_owner("tidemark")), OwnerState::cannot_tell);
    who.pid_namespace = "pid:[1]";
    EXPECT_EQ(probe_owner(who), OwnerState::cannot_tell);
}

TEST(Lease, DamagedObjectHoldsForFiveMinutesOnly)
{
    TestStore t;
    store::put(t.storage, lease_key("shop", "log", 7), base::as_bytes("{\"kind\":"));
    Error error = held_error(t.storage, remote_owner("tidemark mark"));
    EXPECT_THAT(error.message(), HasSubstr("groups/shop/leases/log/0000000007 is damaged"));
    EXPECT_THAT(error.message(), Not(HasSubstr("held by")));
    EXPECT_THAT(error.message(), HasSubstr("until 2026-11-22 14:05:00 UTC"));
    t.clock.advance(std::chrono::minutes{5});
    EXPECT_EQ(take(t.storage)->number(), 8U);
}

TEST(Lease, OnlyOneOfManyWins)
{
    TestStore t;
    std::atomic<int> won = 0;
    std::vector<std::unique_ptr<Lease>> leases(8);
    {
        std::vector<std::jthread> threads;
        for (auto& slot : leases)
            threads.emplace_back([&] {
                try {
                    slot = take(t.storage);
                    ++won;
                } catch (const Error& error) {
                    EXPECT_EQ(error.code(), Code::lease_held);
                }
            });
    }
    EXPECT_EQ(won, 1);
}

TEST(Lease, ThreadRenews)
{
    auto memory = std::make_shared<store::MemoryStorage>();
    store::FaultyStorage storage{memory};
    std::atomic<int> creates = 0;
    storage.before(store::Operation::create, [&](std::string_view) {
        ++creates;
        creates.notify_all();
    });
    auto lease = Lease::acquire(storage, "shop", "log", owner("tidemark"),
                                {.ttl = std::chrono::milliseconds{30}, .renew = true});
    for (int seen = creates; seen < 4; seen = creates)
        creates.wait(seen);
    EXPECT_NO_THROW(lease->check());
    lease->release();
    EXPECT_FALSE(read_lease(storage, "shop", "log")->held);
}

TEST(Lease, EveryCrashIsFollowedByAnOwner)
{
    for (auto step : {store::MemoryStorage::Step::lost, store::MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; ++k) {
            TestStore t;
            t.storage.crash_at(k, step);
            try {
                auto lease = take(t.storage);
                lease->renew();
                lease->renew();
                lease->renew();
                lease->release();
            } catch (const store::CrashError&) {
            }
            bool crashed = t.storage.crashed();
            t.storage.reopen();
            auto before = read_lease(t.storage, "shop", "log");
            t.clock.advance(std::chrono::minutes{2});
            auto next = take(t.storage);
            if (before) {
                ASSERT_GT(next->number(), before->term) << "crash at " << k;
            }
            if (!crashed) break;
            ASSERT_LT(k, 100U);
        }
    }
}

} // namespace
} // namespace tidemark::repo
