// A base backup that turns out to be damaged while it is restored: another one leads there, too.

#include "base/error.h"
#include "job/drill.h"
#include "job/restored_world_testing.h"
#include "repo/backups.h"
#include "repo/drills.h"
#include "store/storage.h"

#include <algorithm>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

enum class BasePart { pack, page_map };

class DamagedBaseTest : public ::testing::TestWithParam<BasePart>, protected RestoredWorld {
protected:
    DamagedBaseTest()
    {
        back_up_group(world_.context(), {});
        world_.work();
        plan(place_mark(world_.context(), {}).mark.number());
    }

    /// Of b's base backup; returns the object's key.
    std::string spoil(model::Number number)
    {
        for (const auto& backup : repo::Backups(world_.storage(), {"shop", "b"}).list()) {
            if (backup.number() != number) continue;
            const auto key = GetParam() == BasePart::pack ? backup.value.packs.at(0).key
                                                          : backup.value.page_map.key;
            auto bytes = store::get(world_.storage(), key, 1U << 20).value();
            for (auto& byte : bytes)
                byte ^= std::byte{0x40};
            world_.storage().remove(key);
            store::put(world_.storage(), key, bytes);
            return key;
        }
        ADD_FAILURE() << "there is no backup " << number;
        return "?";
    }
    static testing::Matcher<const std::vector<std::string>&> warn_of(const std::string& key)
    {
        return Contains(AllOf(HasSubstr("member b"), HasSubstr("b-2 is damaged"),
                              HasSubstr("so b-1"), HasSubstr(key)));
    }
};

TEST_P(DamagedBaseTest, AnOlderOneIsTakenAndBothAreNamed)
{
    ASSERT_EQ(plan_.members.at("b").backup.number(), 2U);
    auto key = spoil(2);
    auto report = restore();
    expect_all_open();
    ASSERT_EQ(report.members.size(), 2U);
    EXPECT_EQ(report.members[0].backup, 2U) << "nothing is wrong with a";
    EXPECT_EQ(report.members[1].backup, 1U);
    EXPECT_EQ(report.members[1].reached, plan_.members.at("b").target);
    EXPECT_GT(report.members[1].log_bytes, plan_.members.at("b").log_bytes);
    EXPECT_THAT(report.warnings, warn_of(key));
    EXPECT_NE(server("b").spec.backup_label, plan_.members.at("b").backup.value.backup_label);
    EXPECT_EQ(state("b").backup, 1U);
    EXPECT_TRUE(state("b").damaged.contains(key));
    EXPECT_TRUE(state("a").damaged.empty());
}

// rule 26
TEST_P(DamagedBaseTest, TheSameCommandDoesNotBeginWithItAgain)
{
    auto key = spoil(2);
    fail("b", "recover");
    EXPECT_THAT(refused().what(), HasSubstr("recover went wrong"));
    ASSERT_EQ(state("b").phase, RestorePhase::written);
    EXPECT_EQ(state("b").backup, 1U);
    const auto marker = dir_.path() / "b/data/marker";
    std::ofstream(marker) << "written once\n";

    auto again = plan_;
    keep_backups(world_.view(), options_, again);
    EXPECT_EQ(again.members.at("a").backup.number(), 2U);
    EXPECT_EQ(again.members.at("b").backup.number(), 1U);
    EXPECT_EQ(again.log_bytes, again.members.at("a").log_bytes + again.members.at("b").log_bytes);
    EXPECT_THAT(again.warnings, warn_of(key)) << "and --plan says it";
    auto report = restore_group(world_.context(), again, options_);
    expect_all_open();
    EXPECT_TRUE(fs::exists(marker)) << "the files were written again";
    EXPECT_EQ(std::ranges::count_if(
                  report.warnings,
                  [&](const std::string& text) { return text.find(key) != std::string::npos; }),
              1);
}

TEST_P(DamagedBaseTest, BehindTheMarkTheWarningStays)
{
    auto key = spoil(2);
    fail("b", "promote");
    EXPECT_THAT(refused().what(), HasSubstr("promote went wrong"));
    auto again = plan_;
    keep_backups(world_.view(), options_, again);
    EXPECT_EQ(again.members.at("b").backup.number(), 1U);
    EXPECT_THAT(restore_group(world_.context(), again, options_).warnings, warn_of(key));
    expect_all_open();
}

TEST_P(DamagedBaseTest, WithoutAnotherItIsRefused)
{
    spoil(2);
    auto last = spoil(1);
    auto error = refused();
    EXPECT_EQ(error.code(), Code::not_restorable);
    EXPECT_THAT(error.what(), HasSubstr(last));
    EXPECT_THAT(error.hint(), HasSubstr("tidemark verify"));
}

// It would pass, and nothing would remember the damage until the next restore in earnest.
TEST_P(DamagedBaseTest, ADrillFailsAndNamesTheDamage)
{
    auto key = spoil(2);
    DrillOptions options;
    options.parent = dir_.path();
    auto outcome = drill_group(world_.context(), plan_, options);
    EXPECT_FALSE(outcome.report.passed());
    EXPECT_THAT(outcome.report.failure, HasSubstr(key));
    EXPECT_THAT(outcome.report.warnings, testing::Not(warn_of(key)));
    auto last = repo::Drills(world_.storage(), "shop").list(1);
    ASSERT_EQ(last.size(), 1U) << "status tells of it from here on";
    EXPECT_FALSE(last[0].value.passed());
}

INSTANTIATE_TEST_SUITE_P(Parts, DamagedBaseTest,
                         ::testing::Values(BasePart::pack, BasePart::page_map),
                         [](const auto& part) {
                             return part.param == BasePart::pack ? "Pack" : "PageMap";
                         });

TEST(RestoreStateTest, WhatWasFoundDamagedIsRemembered)
{
    base::TempDir dir{"state"};
    RestoreState state{.repository = "r",
                       .group = "g",
                       .member = "m",
                       .mark = 1,
                       .backup = 1,
                       .target = {1, 16},
                       .phase = RestorePhase::writing,
                       .claimed = 0,
                       .reached = {}};
    state.damaged.emplace("groups/g/x.pack", "b-2 of gr\xFCn is damaged");
    save_restore_state(dir.path() / "state.json", state);
    EXPECT_EQ(load_restore_state(dir.path() / "state.json"), state);
}

} // namespace
} // namespace tidemark::job
