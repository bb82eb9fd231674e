// Each job is stopped at every step of the store in turn, as if killed there; then the repository
// is opened again. Nothing half-made may show, the server may never have been told of log that is
// not durable, and the next run works.

#include "job/backup.h"
#include "job/mark.h"
#include "job/world_testing.h"

#include <functional>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

/// Crashes `job` at its k-th step for every k; returns how many steps it has.
std::size_t crash_everywhere(const std::function<void(World&)>& job,
                             store::MemoryStorage::Step step)
{
    for (std::size_t k = 1;; ++k) {
        SCOPED_TRACE("stopped at step " + std::to_string(k));
        World world;
        world.storage().crash_at(k, step);
        try {
            job(world);
        } catch (const base::Error&) {
        }
        bool crashed = world.storage().crashed();
        world.storage().reopen();
        world.check_after_crash();
        world.wait_for_leases();
        world.work();
        auto outcome = place_mark(world.context(), {});
        auto view = repo::load_view(world.storage(), "shop");
        EXPECT_EQ(repo::newest_restorable(view), outcome.mark.number());
        world.check_whole();
        if (!crashed || testing::Test::HasFailure()) return k - 1;
    }
}

TEST(CrashTest, AMarkStoppedAnywhere)
{
    auto mark = [](World& world) { place_mark(world.context(), {.name = "m"}); };
    EXPECT_GT(crash_everywhere(mark, store::MemoryStorage::Step::lost), 10U);
    EXPECT_GT(crash_everywhere(mark, store::MemoryStorage::Step::applied), 10U);
}

TEST(CrashTest, ALogBackupStoppedAnywhere)
{
    auto log = [](World& world) { back_up_log(world.context()); };
    EXPECT_GT(crash_everywhere(log, store::MemoryStorage::Step::lost), 6U);
    EXPECT_GT(crash_everywhere(log, store::MemoryStorage::Step::applied), 6U);
}

TEST(CrashTest, AFullBackupStoppedAnywhere)
{
    auto backup = [](World& world) { back_up_group(world.context(), {}); };
    EXPECT_GT(crash_everywhere(backup, store::MemoryStorage::Step::lost), 20U);
    EXPECT_GT(crash_everywhere(backup, store::MemoryStorage::Step::applied), 20U);
}

} // namespace
} // namespace tidemark::job
