#include "job/restore_space.h"

#include "base/error.h"
#include "base/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/statvfs.h>

namespace tidemark::job {
namespace {

TEST(RestoreSpaceTest, WhatGoesToOneFileSystemIsSummed)
{
    base::TempDir dir;
    struct statvfs info = {};
    ASSERT_EQ(::statvfs(dir.path().c_str(), &info), 0);
    auto most = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize / 3 * 2;
    SpaceNeed orders{dir.path() / "r/orders", most, "orders"};
    SpaceNeed stock{dir.path() / "elsewhere", most, "stock"};
    EXPECT_NO_THROW(require_room({orders}));
    EXPECT_NO_THROW(require_room({stock}));
    try {
        require_room({orders, stock});
        FAIL() << "both were promised the same bytes";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::out_of_space);
        EXPECT_NE(error.message().find("orders, stock"), std::string::npos) << error.message();
    }
    EXPECT_NO_THROW(require_room({}));
}

repo::MemberPlan planned_with(std::uint64_t files, std::uint64_t log)
{
    repo::MemberPlan member;
    member.bytes_to_write = files;
    member.log_bytes = log;
    return member;
}

TEST(RestoreSpaceTest, TheLogCanAddItsBytesAndIsKeptForAWhile)
{
    constexpr std::uint64_t kMiB = 1U << 20;
    EXPECT_EQ(room_for_log(planned_with(70 * kMiB, 0)), 0U);
    EXPECT_EQ(room_for_log(planned_with(70 * kMiB, 420 * kMiB)), 840 * kMiB);
    EXPECT_EQ(room_for_log(planned_with(70 * kMiB, 5000 * kMiB)), 6024 * kMiB);
    repo::RestorePlan plan;
    EXPECT_EQ(room_of(plan).most, 0U);
    plan.members["orders"] = planned_with(70 * kMiB, 420 * kMiB);
    plan.members["stock"] = planned_with(30 * kMiB, 0);
    EXPECT_EQ(room_of(plan).least, 100 * kMiB + 2 * kHeadroom);
    EXPECT_EQ(room_of(plan).most, 940 * kMiB + 2 * kHeadroom);
}

TEST(RestoreSpaceTest, WhatTheLogMayAddIsAWarningAndCountsOnceForAMember)
{
    base::TempDir dir;
    struct statvfs info = {};
    ASSERT_EQ(::statvfs(dir.path().c_str(), &info), 0);
    auto available = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    SpaceNeed data{dir.path() / "data", 1, "orders", available / 3 * 2};
    SpaceNeed tablespace{dir.path() / "fast", 1, "orders", available / 3 * 2};
    EXPECT_TRUE(require_room({data, tablespace}).empty());
    SpaceNeed other{dir.path() / "stock", 1, "stock", available / 3 * 2};
    auto warnings = require_room({data, tablespace, other});
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].find("the files of orders, stock"), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("can need up to"), std::string::npos) << warnings[0];
}

} // namespace
} // namespace tidemark::job
