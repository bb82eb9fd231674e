#include "repo/drills.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/repo_testing.h"
#include "store/memory.h"

#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using namespace std::chrono_literals;
using model::CheckResult;

model::Drill good(model::Number mark)
{
    model::Drill drill;
    drill.group = "shop";
    drill.mark = mark;
    drill.started = testing::test_time();
    drill.ended = testing::test_time() + std::chrono::minutes{mark};
    drill.restore_took = 40s;
    drill.checks = {{.name = "recovery", .member = "a"},
                    {.name = "amcheck", .member = "a", .result = CheckResult::skipped},
                    {.name = "checksums", .member = "a"},
                    {.name = "checksums", .member = "b", .result = CheckResult::skipped}};
    return drill;
}

TEST(DrillTest, ProvesOnlyWhatCameThroughWhole)
{
    EXPECT_TRUE(good(1).proves());
    auto failed = good(1);
    failed.checks[2].result = CheckResult::failed;
    EXPECT_FALSE(failed.passed());
    auto stopped = good(1);
    stopped.failure = "killed";
    EXPECT_FALSE(stopped.passed());
    auto never_open = good(1);
    never_open.restore_took.reset();
    EXPECT_FALSE(never_open.passed());
    auto part = good(1);
    part.whole_group = false;
    EXPECT_TRUE(part.passed());
    EXPECT_FALSE(part.proves());
    auto kept = good(1);
    kept.decisions = {{.member = "a", .gid = "g", .action = "kept"}};
    EXPECT_TRUE(kept.passed());
    EXPECT_FALSE(kept.proves());
}

TEST(DrillTest, SaysByWhatItWasProvenAndWhatWasLeftOut)
{
    EXPECT_EQ(good(1).proven_by(), std::vector<std::string>{"recovery"});
    EXPECT_EQ(good(1).skipped(), (std::vector<std::string>{"amcheck", "checksums"}));
}

TEST(DrillsTest, ProofsAreTheNewestOfEachMark)
{
    testing::TestStore store;
    Drills drills(store.storage, "shop");
    EXPECT_FALSE(drills.proofs().last.has_value());
    drills.append(good(5));
    drills.append(good(4));
    drills.append(good(4));
    auto failed = good(5);
    failed.failure = "damaged";
    drills.append(failed);
    auto proofs = drills.proofs();
    ASSERT_EQ(proofs.by_mark.size(), 2U);
    EXPECT_EQ(proofs.by_mark.at(4).drill, 3U);
    EXPECT_EQ(proofs.by_mark.at(5).drill, 1U);
    EXPECT_EQ(proofs.newest->mark, 5U);
    EXPECT_EQ(proofs.last->number(), 4U);
    EXPECT_EQ(drills.load(4)->value, failed);
    EXPECT_FALSE(drills.load(5).has_value());
    EXPECT_EQ(drills.list(1).front().number(), 4U);
}

TEST(DrillsTest, ADamagedReportCostsItsOwnProofOnly)
{
    testing::TestStore store;
    Drills drills(store.storage, "shop");
    drills.append(good(1));
    store::put(store.storage, drill_key("shop", 2), base::as_bytes("{}"));
    auto proofs = drills.proofs();
    EXPECT_TRUE(proofs.by_mark.contains(1));
    EXPECT_TRUE(proofs.unreadable.contains(drill_key("shop", 2)));
}

} // namespace
} // namespace tidemark::repo
