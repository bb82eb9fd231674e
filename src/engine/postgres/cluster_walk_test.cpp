#include "engine/postgres/cluster_walk.h"

#include "base/plain_user_testing.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using base::Code;
using testing::HasSubstr;

class ClusterWalkTest : public ::testing::Test {
protected:
    ClusterWalkTest()
    {
        fs::create_directory(data() / "pg_tblspc");
        fs::create_directory(data() / "base");
        std::ofstream(data() / "base/file") << "x";
        set_mode(data(), 0755);
    }
    const fs::path& data() const { return dir_.path(); }
    static void set_mode(const fs::path& path, mode_t mode)
    {
        ASSERT_EQ(::chmod(path.c_str(), mode), 0) << path;
    }
    /// Walks and opens every file, as somebody who is not root.
    void expect_refusal(const fs::path& place) const
    {
        base::PlainRights plain;
        try {
            auto walk = walk_cluster(data(), "PG_15_202209061");
            for (const auto& file : walk.files)
                walk.open(file);
            ADD_FAILURE() << place;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), Code::member_not_ready) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(" " + place.native() + ": Permission denied"));
            EXPECT_THAT(error.hint(), HasSubstr("leave data_dir out"));
        }
    }

    base::TempDir dir_{"walk"};
};

TEST_F(ClusterWalkTest, WhatMayNotBeReadIsNamedWithItsFolder)
{
    set_mode(data() / "base/file", 0);
    expect_refusal(data() / "base/file");
    set_mode(data() / "base", 0);
    expect_refusal(data() / "base");
    set_mode(data() / "base", 0755);
    set_mode(data() / "base/file", 0644);
    set_mode(data() / "pg_tblspc", 0);
    expect_refusal(data() / "pg_tblspc");
    set_mode(data() / "pg_tblspc", 0755);
    set_mode(data(), 0);
    expect_refusal(data());
    set_mode(data(), 0755);
    base::PlainRights plain;
    EXPECT_EQ(walk_cluster(data(), "PG_15_202209061").files.size(), 1U);
}

} // namespace
} // namespace tidemark::engine::postgres
