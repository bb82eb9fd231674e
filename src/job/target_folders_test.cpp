#include "job/target_folders.h"

#include "base/error.h"
#include "base/temp_dir.h"
#include "job/restore_claim.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;

constexpr Owner kServer{65534, 65534};

struct TargetFoldersTest : ::testing::Test {
    static struct stat of(const fs::path& path)
    {
        struct stat info = {};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return info;
    }
    base::TempDir dir;
    fs::path top = fs::canonical(dir.path());
};

// rule 29
TEST_F(TargetFoldersTest, APlantedLinkIsNeitherFollowedNorGivenAway)
{
    fs::create_directories(top / "m");
    fs::create_directory(top / "victim");
    auto before = of(top / "victim");
    for (const char* name : {"tablespaces", "tidemark", "data"}) {
        fs::create_directory_symlink(top / "victim", top / "m" / name);
        EXPECT_THROW(make_folder(top / "m" / name, kServer, 0700), base::Error) << name;
        EXPECT_THROW(take_folder(top / "m" / name, {}, 0711), base::Error) << name;
        EXPECT_THROW(make_folder(top / "m" / name / "16400", kServer, 0700), base::Error) << name;
    }
    EXPECT_EQ(of(top / "victim").st_uid, before.st_uid);
    EXPECT_EQ(of(top / "victim").st_mode, before.st_mode);
    EXPECT_TRUE(fs::is_empty(top / "victim"));
}

// rule 29
TEST_F(TargetFoldersTest, WhatSteersARestoreIsOursWhoeverRunsTheServer)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root restores for another account";
    fs::create_directory(top / "m");
    ASSERT_EQ(::chown((top / "m").c_str(), kServer.uid, kServer.gid), 0);
    take_folder(top / "m", {}, 0711);
    EXPECT_EQ(of(top / "m").st_uid, 0U);
    EXPECT_EQ(of(top / "m").st_mode & 07777, 0711U);
    make_folder(top / "m/data", kServer, 0700);
    EXPECT_EQ(of(top / "m/data").st_uid, kServer.uid);
    // Planted before we took the folder above it.
    fs::create_directory(top / "m/tidemark");
    std::ofstream(top / "m/tidemark/state.json") << "{}";
    ASSERT_EQ(::chown((top / "m/tidemark").c_str(), kServer.uid, kServer.gid), 0);
    EXPECT_THROW(make_folder(top / "m/tidemark", {}, 0711), base::Error);
    // Nor is a state believed that the server's account wrote.
    EXPECT_TRUE(holds_restore(top / "m"));
    ASSERT_EQ(::chown((top / "m/tidemark/state.json").c_str(), kServer.uid, kServer.gid), 0);
    EXPECT_FALSE(holds_restore(top / "m"));
    EXPECT_THROW(known_state(top / "m"), base::Error);
}

// rule 29
TEST_F(TargetFoldersTest, AProgramIsCopiedBesideAPlantedLink)
{
    std::ofstream(top / "program") << "program";
    std::ofstream(top / "victim") << "secret";
    ASSERT_EQ(::chmod((top / "victim").c_str(), 0600), 0);
    fs::create_symlink(top / "victim", top / "fetch-log");
    copy_program(top / "program", base::open_real_folder(top), "fetch-log");
    EXPECT_FALSE(fs::is_symlink(top / "fetch-log"));
    EXPECT_EQ(of(top / "fetch-log").st_mode & 07777, 0755U);
    EXPECT_EQ(of(top / "victim").st_mode & 07777, 0600U);
    EXPECT_EQ(base::as_text(base::read_file(top / "victim", 100)), "secret");
}

} // namespace
} // namespace tidemark::job
