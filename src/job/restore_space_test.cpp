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

} // namespace
} // namespace tidemark::job
