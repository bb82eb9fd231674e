#include "base/real_folder.h"

#include "base/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::base {
namespace {

namespace fs = std::filesystem;

struct RealFolderTest : ::testing::Test {
    TempDir dir;
    fs::path top = fs::canonical(dir.path());
};

// rule 29
TEST_F(RealFolderTest, NoLinkIsFollowedOnTheWay)
{
    fs::create_directories(top / "real/inner");
    fs::create_directory_symlink(top / "real", top / "link");
    EXPECT_TRUE(open_real_folder(top / "real/inner").valid());
    EXPECT_THROW(open_real_folder(top / "link/inner"), Error);
    EXPECT_THROW(open_real_folder(top / "link"), Error);
    EXPECT_THROW(open_real_folder(top / "none"), Error);
}

TEST_F(RealFolderTest, WhatWasOpenedStaysWhateverTakesItsName)
{
    fs::create_directory(top / "ours");
    fs::create_directory(top / "victim");
    auto folder = open_real_folder(top / "ours");
    fs::rename(top / "ours", top / "away");
    fs::create_directory_symlink(top / "victim", top / "ours");
    replace_file(path_within(folder, "state"), as_bytes("x"));
    EXPECT_TRUE(fs::exists(top / "away/state"));
    EXPECT_TRUE(fs::is_empty(top / "victim"));
}

TEST_F(RealFolderTest, LinksOfOursAreResolvedAndThoseOfOthersRefused)
{
    fs::create_directories(top / "real/inner");
    fs::create_directory_symlink("real", top / "link");
    EXPECT_EQ(resolve_links(top / "link/inner/../new/x"), top / "real/new/x");
    EXPECT_EQ(resolve_links(top / "real"), top / "real");
    fs::create_symlink("round", top / "round");
    EXPECT_THROW(resolve_links(top / "round/x"), Error);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::lchown((top / "link").c_str(), 65534, 65534), 0);
    EXPECT_THROW(resolve_links(top / "link/inner"), Error);
}

} // namespace
} // namespace tidemark::base
