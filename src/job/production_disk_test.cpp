#include "job/production_disk.h"

#include "base/error.h"
#include "base/mount_testing.h"
#include "base/temp_dir.h"

#include <chrono>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;

/// True when the token was stopped, false after a time in which it must have been.
bool is_stopped_soon(const std::stop_token& token)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, token, std::chrono::seconds{30}, [] { return false; });
    return token.stop_requested();
}

TEST(ProductionDiskTest, LeavesATenthWithinBounds)
{
    constexpr std::uint64_t kMiB = 1U << 20;
    EXPECT_EQ(margin_of(0), 256 * kMiB);
    EXPECT_EQ(margin_of(1024 * kMiB), 256 * kMiB);
    EXPECT_EQ(margin_of(10240 * kMiB), 1024 * kMiB);
    EXPECT_EQ(margin_of(10ULL << 40), 4096 * kMiB);
}

TEST(ProductionDiskTest, KnowsWhatIsOnTheSameDisk)
{
    base::TempDir dir;
    fs::create_directory(dir.path() / "data");
    EXPECT_EQ(on_disk_of(dir.path(), {"/proc", dir.path() / "none", dir.path() / "data"}),
              dir.path() / "data");
    EXPECT_FALSE(on_disk_of(dir.path(), {"/proc", dir.path() / "none"}).has_value());
    EXPECT_FALSE(on_disk_of(dir.path() / "none", {dir.path()}).has_value());
}

TEST(ProductionDiskTest, StopsBeforeTheDiskIsFull)
{
    base::TempDir dir;
    base::SmallMount mount(dir.path(), "size=1g");
    ASSERT_TRUE(mount.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!mount.mounted()) GTEST_SKIP() << base::kNoMount;
    ProductionDisk disk(dir.path(), "/pg", {});
    EXPECT_EQ(disk.margin(), 256U << 20);
    EXPECT_NO_THROW(disk.require_margin());
    EXPECT_FALSE(disk.stop().stop_requested());
    mount.change("size=100m");
    EXPECT_TRUE(is_stopped_soon(disk.stop()));
    mount.change("size=1g"); // what stopped it is said all the same
    try {
        disk.require_margin();
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::out_of_space);
        EXPECT_NE(error.message().find("on the disk of /pg"), std::string::npos) << error.message();
    }
}

TEST(ProductionDiskTest, IsStoppedWithTheDrill)
{
    base::TempDir dir;
    std::stop_source outer;
    ProductionDisk disk(dir.path(), dir.path(), outer.get_token());
    outer.request_stop();
    EXPECT_TRUE(disk.stop().stop_requested());
}

} // namespace
} // namespace tidemark::job
