#include "job/restore_claim.h"

#include "base/error.h"
#include "base/plain_user_testing.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;

class RestoreClaimTest : public ::testing::Test {
protected:
    void put(const std::string& name) const
    {
        fs::create_directories((folder() / name).parent_path());
        std::ofstream(folder() / name) << "x";
    }
    void restore(RestorePhase phase, std::map<std::uint32_t, std::string> tablespaces = {}) const
    {
        put("data/PG_VERSION");
        put("tidemark/phase1.log");
        save_restore_state(folder() / "tidemark/state.json",
                           {.repository = "r",
                            .group = "g",
                            .member = "m",
                            .mark = 1,
                            .backup = 1,
                            .target = {.epoch = 1, .offset = 0x1000000},
                            .phase = phase,
                            .claimed = 0,
                            .reached = "",
                            .tablespaces = std::move(tablespaces)});
    }
    const fs::path& folder() const { return temp_.path(); }

    base::TempDir temp_{"claim"};
};

TEST_F(RestoreClaimTest, OnlyWhatARestoreWroteIsRemoved)
{
    auto elsewhere = folder() / "elsewhere";
    restore(RestorePhase::handed_over, {{16400, elsewhere.string()}});
    put("elsewhere/PG_15_202209061/5/1234");
    put("elsewhere/mine");
    put("mine");
    EXPECT_FALSE(is_free(folder()));
    EXPECT_EQ(remove_restore(folder()),
              (std::vector<fs::path>{folder() / "data", elsewhere, folder() / "tidemark"}));
    EXPECT_TRUE(fs::exists(folder() / "mine"));
    EXPECT_TRUE(fs::exists(elsewhere / "mine"));
    EXPECT_FALSE(fs::exists(elsewhere / "PG_15_202209061"));
    EXPECT_FALSE(fs::exists(folder() / "data"));
    EXPECT_FALSE(fs::exists(folder() / "tidemark"));
}

TEST_F(RestoreClaimTest, WithoutAStateNothingIsOurs)
{
    put("data/PG_VERSION");
    put("tidemark/run.log");
    EXPECT_FALSE(is_free(folder()));
    EXPECT_TRUE(remove_restore(folder()).empty());
    EXPECT_TRUE(fs::exists(folder() / "data/PG_VERSION"));
}

TEST_F(RestoreClaimTest, WhatAKillBeforeTheFirstStateLeavesIsFree)
{
    EXPECT_TRUE(is_free(folder() / "absent"));
    EXPECT_TRUE(is_free(folder()));
    put("tidemark/lock");
    put("tidemark/state.json.a1b2c3");
    EXPECT_TRUE(is_free(folder()));
    put("tidemark/other");
    EXPECT_FALSE(is_free(folder()));
}

TEST_F(RestoreClaimTest, WhereWeMayNotLookIsNeitherFreeNorOccupied)
{
    fs::create_directories(folder() / "shut/a");
    ASSERT_EQ(::chmod(folder().c_str(), 0711), 0);
    ASSERT_EQ(::chmod((folder() / "shut").c_str(), 0), 0);
    for (const char* name : {"shut", "shut/a", "shut/absent"}) {
        base::PlainRights plain;
        try {
            is_free(folder() / name);
            ADD_FAILURE() << name;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
            EXPECT_NE(error.message().find((folder() / name).string() + ": Permission denied"),
                      std::string::npos)
                << error.message();
            EXPECT_NE(error.hint().find("another folder"), std::string::npos) << error.hint();
        }
    }
    ASSERT_EQ(::chmod((folder() / "shut").c_str(), 0700), 0);
    EXPECT_TRUE(is_free(folder() / "shut/a"));
}

TEST_F(RestoreClaimTest, AStateThatCannotBeUnderstoodIsStillOurs)
{
    put("data/PG_VERSION");
    put("tidemark/state.json");
    EXPECT_TRUE(holds_restore(folder()));
    EXPECT_FALSE(known_state(folder()));
    EXPECT_EQ(remove_restore(folder()).size(), 2U);
    EXPECT_TRUE(is_free(folder()));
}

TEST_F(RestoreClaimTest, ASecondProcessIsKeptOut)
{
    fs::create_directories(folder() / "tidemark");
    auto first = lock_target(folder() / "tidemark");
    EXPECT_THROW(lock_target(folder() / "tidemark"), base::Error);
    first.reset();
    EXPECT_TRUE(lock_target(folder() / "tidemark").valid());
}

} // namespace
} // namespace tidemark::job
