#include "engine/postgres/tablespace_places.h"

#include "base/error.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;

class TablespacePlacesTest : public testing::Test {
protected:
    void SetUp() override
    {
        fs::create_directories(links_);
        fs::create_directories(member_ / "tablespaces");
    }
    fs::path place(int oid) const { return member_ / "tablespaces" / std::to_string(oid); }
    void replay_makes(int oid) const
    {
        fs::create_directories(links_ / std::to_string(oid) / "PG_15_202209061");
    }
    void move() const { move_tablespaces_out(member_ / "data", {{7, place(7)}}, {}); }
    void expect_moved() const
    {
        ASSERT_TRUE(fs::is_symlink(links_ / "7"));
        EXPECT_EQ(fs::read_symlink(links_ / "7"), place(7));
        EXPECT_TRUE(fs::is_directory(place(7) / "PG_15_202209061"));
    }

    base::TempDir dir_;
    fs::path member_ = fs::canonical(dir_.path()) / "m";
    fs::path links_ = member_ / "data/pg_tblspc";
};

// rule 26, 29
TEST_F(TablespacePlacesTest, MovesWhatReplayMadeAndLinksItHowOftenItIsAsked)
{
    replay_makes(7);
    replay_makes(8); // in production it lies inside, too
    move();
    expect_moved();
    EXPECT_TRUE(fs::is_directory(fs::symlink_status(links_ / "8")));
    move();
    expect_moved();
    fs::remove(links_ / "7"); // killed before the link was made
    move();
    expect_moved();
}

TEST_F(TablespacePlacesTest, OneThatIsGoneAgainLeavesNothing)
{
    move();
    EXPECT_TRUE(fs::is_empty(links_));
}

TEST_F(TablespacePlacesTest, NothingThatLiesThereIsReplaced)
{
    replay_makes(7);
    fs::create_directory(place(7));
    std::ofstream(place(7) / "mine") << "x";
    try {
        move();
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::target_not_empty) << error.what();
    }
    EXPECT_TRUE(fs::exists(place(7) / "mine"));
    EXPECT_TRUE(fs::is_directory(fs::symlink_status(links_ / "7")));
}

TEST_F(TablespacePlacesTest, ALinkOnTheWayLeadsNowhere)
{
    replay_makes(7);
    fs::create_directory(dir_.path() / "elsewhere");
    fs::remove(member_ / "tablespaces");
    fs::create_directory_symlink(dir_.path() / "elsewhere", member_ / "tablespaces");
    EXPECT_THROW(move(), base::Error);
    EXPECT_TRUE(fs::is_empty(dir_.path() / "elsewhere"));
}

} // namespace
} // namespace tidemark::engine::postgres
