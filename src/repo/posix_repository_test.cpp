#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "repo/layout.h"
#include "repo/little_group.h"
#include "repo/restore_plan.h"
#include "repo/verify.h"
#include "store/posix.h"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

// The same repository on a real directory, and under real kills.
namespace tidemark::repo {
namespace {

using base::Error;
using testing::LittleGroup;

class PosixRepositoryTest : public ::testing::Test {
protected:
    std::unique_ptr<store::Storage> open()
    {
        return store::open_directory(dir.path() / "repository", {.create = true});
    }
    /// Another process that works on the repository until it is killed.
    pid_t start_worker()
    {
        pid_t child = ::fork();
        if (child != 0) return child;
        try {
            auto storage = open();
            base::FakeClock clock{testing::test_time()};
            LittleGroup group{*storage, clock, testing::owner("tidemark worker")};
            group.full();
            while (true)
                group.log();
        } catch (const std::exception&) {
            ::_exit(1);
        }
    }
    static void kill_worker(pid_t child)
    {
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status)) << "the worker failed by itself";
    }

    base::TempDir dir;
};

TEST_F(PosixRepositoryTest, GrowsIsVerifiedAndPlanned)
{
    auto storage = open();
    base::FakeClock clock{testing::test_time()};
    LittleGroup group{*storage, clock, testing::owner("tidemark test")};
    group.full();
    model::Number last = group.log();
    auto report = verify(Repository::open(*storage), "shop");
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.restorable_marks, 2U);
    EXPECT_TRUE(plan_restore(load_view(*storage, "shop"), last).plan);
    auto backup = Backups{*storage, {"shop", "orders"}}.load(1).value();
    auto file = dir.path() / "repository" / backup.value.packs.front().key;
    base::Fd fd = base::open_file(file, O_WRONLY);
    base::pwrite_full(fd.get(), base::as_bytes("x"), 70, "pack");
    report = verify(Repository::open(*storage), "shop");
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_EQ(report.faults[0].object, backup.value.packs.front().key);
}

TEST_F(PosixRepositoryTest, KillNineAtAnyMomentLeavesItReadableAndTheNextCommandWorks)
{
    base::SystemRandom random;
    std::uint64_t seed = random.next();
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::SeededRandom chance{seed};
    model::Number sets = 0;
    for (int round = 0; round < 12; ++round) {
        pid_t worker = start_worker();
        ::usleep(static_cast<useconds_t>(5'000 + chance.below(60'000)));
        kill_worker(worker);
        auto storage = open();
        if (!Repository::exists(*storage)) continue;
        if (Repository::open(*storage).members("shop").empty()) continue;
        auto view = load_view(*storage, "shop");
        EXPECT_TRUE(view.unreadable.empty());
        auto newest = view.sets.empty() ? 0 : view.sets.front().number();
        EXPECT_GE(newest, sets) << "a complete set vanished";
        sets = newest;
        for (const StoredSet& set : view.sets)
            EXPECT_TRUE(plan_restore(view, set.value.mark).plan) << "set " << set.number();
        for (const Fault& fault : verify(Repository::open(*storage), "shop").faults)
            ADD_FAILURE() << fault.object << ": " << fault.text;
    }
    // No waiting for the dead one's lease: it ran on this machine and is gone.
    auto storage = open();
    base::FakeClock clock{testing::test_time()};
    LittleGroup next{*storage, clock, testing::owner("tidemark next")};
    model::Number mark = next.full();
    EXPECT_TRUE(plan_restore(load_view(*storage, "shop"), mark).plan);
}

// rule 32
TEST_F(PosixRepositoryTest, FrozenOwnerThatWakesUpDoesNoHarm)
{
    auto storage = open();
    base::SystemRandom random;
    Repository::create(*storage, random);
    LeaseOwner stranger = testing::remote_owner("tidemark frozen");
    auto frozen = Lease::acquire(*storage, "shop", "log", stranger,
                                 {.ttl = std::chrono::milliseconds{1}, .renew = false});
    Marks marks{*storage, "shop"};
    std::unique_ptr<Lease> fresh;
    while (!fresh) {
        try {
            fresh = testing::take(*storage, "log", testing::owner("tidemark fresh"));
        } catch (const Error& error) {
            ASSERT_EQ(error.code(), base::Code::lease_held);
        }
    }
    model::Mark mark;
    mark.name = "late";
    EXPECT_THROW(marks.append(*frozen, mark), Error);
    mark.name = "good";
    marks.append(*fresh, mark);
    EXPECT_THROW(marks.append(*frozen, mark), Error);
    ASSERT_EQ(marks.list().size(), 1U);
    EXPECT_EQ(marks.latest()->value.name, "good");
}

} // namespace
} // namespace tidemark::repo
