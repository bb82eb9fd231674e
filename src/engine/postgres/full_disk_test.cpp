#include "engine/postgres/full_disk.h"

#include "base/mount_testing.h"
#include "base/temp_dir.h"
#include "engine/postgres/pq.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using base::Code;
using base::Error;
using ::testing::HasSubstr;

constexpr std::uint64_t kNeeded = 16U << 20;

TEST(FullDiskTest, TheServersWordsAreEnough)
{
    const std::filesystem::path root = "/";
    Error said{Code::failed, "the server ended: PANIC: could not write: No space left on device"};
    said.add_context("member a");
    auto full = out_of_space_instead(said, {root}, 0);
    ASSERT_TRUE(full.has_value());
    EXPECT_EQ(full->code(), Code::out_of_space);
    EXPECT_THAT(full->what(), HasSubstr("member a"));
    EXPECT_THAT(full->hint(), HasSubstr("free some space"));
    EXPECT_FALSE(out_of_space_instead({Code::failed, "the server ended by itself"}, {root}, 0));
    // A limit of the kernel, in the same words.
    EXPECT_FALSE(out_of_space_instead(
        {Code::failed, "FATAL: could not create semaphores: No space left on device"}, {root}, 0));
}

TEST(FullDiskTest, OnlyWhatNobodyExplainedIsTheDisksFault)
{
    base::TempDir dir;
    base::SmallMount disk(dir.path(), "size=1m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto becomes_full = [&](const Error& error) {
        auto full = out_of_space_instead(error, {"/", dir.path()}, kNeeded);
        if (full) {
            EXPECT_THAT(full->what(), HasSubstr("the disk of " + dir.path().native()));
        }
        return full.has_value();
    };
    EXPECT_TRUE(becomes_full({Code::failed, "the promoted server ended by itself"}));
    EXPECT_TRUE(becomes_full({Code::member_unreachable, "nobody answers"}));
    EXPECT_TRUE(becomes_full({Code::not_restorable, "FATAL: could not restore file \"0\""}));
    EXPECT_TRUE(becomes_full(SqlError{Code::failed, "could not write", {}, "58030"}));

    EXPECT_FALSE(becomes_full(SqlError{Code::failed, "no such relation", {}, "42P01"}));
    EXPECT_FALSE(becomes_full({Code::failed, "FATAL: could not access file \"timescaledb\": No "
                                             "such file or directory"}));
    EXPECT_FALSE(becomes_full({Code::not_restorable, "the backup holds no pg_hba.conf"}));
    EXPECT_FALSE(becomes_full({Code::identity_mismatch, "another system"}));
    EXPECT_FALSE(becomes_full({Code::cancelled, "stopped"}));
    disk.change("size=64m");
    EXPECT_FALSE(becomes_full({Code::failed, "the promoted server ended by itself"}));
    disk.change("size=64m,nr_inodes=1");
    EXPECT_TRUE(becomes_full({Code::failed, "the promoted server ended by itself"}));
}

} // namespace
} // namespace tidemark::engine::postgres
