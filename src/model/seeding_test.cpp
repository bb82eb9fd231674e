#include "model/cut_testing.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace tidemark::model {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// rule 6
TEST(SeedingTest, SeededBranchesAreCommittedOrUnknown)
{
    CutMember a = member("a", {});
    a.log.seeds = {{.xid = 5, .gid = "old", .database_name = "shop", .owner_name = "bob"},
                   {.xid = 6, .gid = "orphan"}};
    CutMember b = member("b", {committed(300, 8)});
    b.log.seeds = {{.xid = 8, .gid = "old"}};
    auto result = compute_cut(group({a, b}));
    EXPECT_EQ(decision(result, "a", "old"), Decision::commit);
    EXPECT_EQ(decision(result, "a", "orphan"), Decision::unknown);
    EXPECT_EQ(reason(result, 1), Reason::seeded);
    EXPECT_EQ(result.at.in_doubt[0].branch.database_name, "shop");
    EXPECT_EQ(result.at.in_doubt[0].branch.owner_name, "bob");
}

TEST(SeedingTest, ASeedWhosePrepareIsInTheLogIsAnOrdinaryBranch)
{
    CutMember a = member("a", {prepared(300, 5, "g")});
    a.log.seeds = {{.xid = 5, .gid = "g", .database_name = "shop"}};
    auto result = compute_cut(group({a, member("b", {})}));
    ASSERT_THAT(result.at.in_doubt, SizeIs(1));
    EXPECT_EQ(reason(result), Reason::not_committed);
    EXPECT_EQ(result.at.in_doubt[0].branch.database_name, "shop");
}

TEST(SeedingTest, ASeedThatWentAwayBeforeTheLogIsNotInDoubt)
{
    CutMember a = member("a", {rolled_back(200, 6)});
    a.log.seeds = {{.xid = 5, .gid = "g", .gone = true}, {.xid = 6, .gid = "h", .gone = true}};
    auto result = compute_cut(group({a, member("b", {})}));
    EXPECT_THAT(result.at.in_doubt, IsEmpty());
    EXPECT_THAT(result.at.unknown_finishes, IsEmpty());
}

TEST(SeedingTest, SeedsAreNotReadAgainBehindATable)
{
    CutMember a = member("a", {rolled_back(200, 6)});
    a.log.seeds = {{.xid = 6, .gid = "h"}};
    auto first = compute_cut(group({a, member("b", {})}));
    EXPECT_THAT(first.table.branches, IsEmpty());
    CutMember again = member("a", {});
    again.log.seeds = a.log.seeds;
    auto second = compute_cut(next_group(first, {again, member("b", {})}));
    EXPECT_THAT(second.at.in_doubt, IsEmpty());
}

// rule 6
TEST(SeedingTest, UnknownCommitsBlockRollbacksAndAreListedOnce)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g")}), member("b", {committed(350, 99)})}));
    EXPECT_EQ(reason(first), Reason::commit_of_unknown);
    ASSERT_THAT(first.at.unknown_finishes, SizeIs(1));
    EXPECT_EQ(first.at.unknown_finishes[0].xid, 99U);
    EXPECT_TRUE(first.flags.unknown_finishes);
    auto second = compute_cut(next_group(first, {member("a", {}), member("b", {})}));
    EXPECT_THAT(second.at.unknown_finishes, IsEmpty());
    EXPECT_EQ(reason(second), Reason::commit_of_unknown) << "it may still be this one's";
}

TEST(SeedingTest, AnUnknownCommitSinceBStaysOutside)
{
    auto result = compute_cut(
        group({member("a", {prepared(520, 1, "g")}), member("b", {committed(450, 99)})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 450}));
    EXPECT_EQ(result.members[1].retreat->xid, 99U);
    EXPECT_THAT(result.at.unknown_finishes, IsEmpty());
    EXPECT_THAT(result.table.unknown_finishes, SizeIs(1));
}

TEST(SeedingTest, AnUnknownCommitThatCarriesItsGidIsEvidence)
{
    CutMember b = member("b", {event(EventKind::commit, 420, 99, "g")});
    auto result = compute_cut(group({member("a", {prepared(100, 1, "g")}), b}));
    EXPECT_EQ(decision(result, "a", "g"), Decision::commit);
    EXPECT_THAT(result.at.unknown_finishes, IsEmpty());
}

// rule 6
TEST(SeedingTest, AnUnknownCommitBlocksRollbacksForAsLongAsTheBranchStaysOpen)
{
    std::vector<CutMember> idle{member("a", {}), member("b", {})};
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g")}), member("b", {committed(350, 99)})}));
    auto second = compute_cut(next_group(first, idle));
    auto third_input = next_group(second, idle);
    for (CutMember& one : third_input.members) {
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    auto third = compute_cut(third_input);
    EXPECT_EQ(reason(third), Reason::commit_of_unknown);
    EXPECT_TRUE(third.table.branches.at(0).commit_unseen);
}

// rule 6
TEST(SeedingTest, AnUnknownCommitBlocksNothingThatBeganAfterIt)
{
    CutInput input =
        group({member("a", {prepared(300, 1, "g")}), member("b", {committed(120, 99)})});
    input.anchor.push_back({{"a", 200}, {"b", 200}});
    input.anchor.push_back({{"a", 220}, {"b", 220}});
    EXPECT_EQ(reason(compute_cut(input)), Reason::not_committed);
}

// rule 6
TEST(SeedingTest, AnUnknownCommitOutsideIsCarriedToTheNextMark)
{
    auto first = compute_cut(
        group({member("a", {prepared(420, 1, "g")}), member("b", {committed(450, 99)})}));
    EXPECT_EQ(cuts(first), (std::vector<Offset>{500, 450}));
    auto second = compute_cut(next_group(first, {member("a", {}), member("b", {})}));
    ASSERT_THAT(second.at.unknown_finishes, SizeIs(1));
    EXPECT_EQ(second.at.unknown_finishes[0].xid, 99U);
    EXPECT_EQ(reason(second), Reason::commit_of_unknown);
    EXPECT_THAT(second.table.unknown_finishes, IsEmpty());
}

// rule 6
TEST(SeedingTest, AnUnknownRollbackStandsInNobodysWay)
{
    auto result = compute_cut(group({member("a", {prepared(420, 1, "g")}),
                                     member("b", {rolled_back(450, 99), rolled_back(550, 98)})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500}));
    EXPECT_EQ(reason(result), Reason::not_committed);
    EXPECT_THAT(result.at.unknown_finishes, SizeIs(1)) << "counted and shown all the same";
    EXPECT_THAT(result.table.unknown_finishes, IsEmpty());
}

// rule 6
TEST(SeedingTest, AnUnknownCommitThatEndsAtTheCutIsInside)
{
    CutMember b = member("b", {committed(450, 99)});
    b.fixed = 460;
    auto result = compute_cut(group({member("a", {}), b}));
    EXPECT_THAT(result.at.unknown_finishes, SizeIs(1));
    EXPECT_THAT(result.table.unknown_finishes, IsEmpty());
}

// rule 6
TEST(SeedingTest, WhatIsListedAfterAGapMayBeYoungerThanACommitBeforeIt)
{
    // a's g is committed after the last mark; b's, found after a gap, may be the next use of g.
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")}), member("b", {})}));
    CutMember b = member("b", {});
    b.log.complete_since = 700;
    b.log.seeds = {{.xid = 2, .gid = "g"}};
    auto second = compute_cut(next_group(first, {member("a", {committed(650, 1)}), b}));
    EXPECT_EQ(decision(second, "b", "g"), Decision::unknown);
}

} // namespace
} // namespace tidemark::model
