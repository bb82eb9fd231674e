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

// rule 5
TEST(BrokenLogTest, AMemberThatJoinsLateMakesOlderOnesUnknown)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")})}));
    EXPECT_EQ(decision(first, "a", "g"), Decision::rollback);
    CutMember late = member("late", {});
    late.log.complete_since = 50;
    auto second = compute_cut(next_group(first, {member("a", {prepared(650, 2, "new")}), late}));
    EXPECT_EQ(decision(second, "a", "g"), Decision::unknown);
    EXPECT_EQ(decision(second, "a", "new"), Decision::unknown);
    auto third_input = next_group(second, {member("a", {prepared(1900, 3, "newer")}), late});
    for (CutMember& one : third_input.members) {
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    auto third = compute_cut(third_input);
    EXPECT_EQ(decision(third, "a", "g"), Decision::unknown);
    EXPECT_EQ(decision(third, "a", "newer"), Decision::rollback);
}

TEST(BrokenLogTest, AMemberThatLeftMakesOlderOnesUnknown)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g")}), member("b", {prepared(300, 1, "g")})}));
    auto second = compute_cut(next_group(first, {member("a", {prepared(610, 2, "new")})}));
    EXPECT_EQ(decision(second, "a", "g"), Decision::unknown);
    EXPECT_EQ(decision(second, "a", "new"), Decision::unknown);
}

// rule 5
TEST(BrokenLogTest, AGapMakesOlderOnesUnknown)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")}),
                                    member("b", {prepared(300, 1, "g"), prepared(320, 2, "h")})}));
    CutMember b = member("b", {});
    b.log.complete_since = 700; // g ended at b in the gap, h is still there
    b.log.seeds = {{.xid = 2, .gid = "h"}};
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    EXPECT_EQ(decision(second, "a", "g"), Decision::unknown);
    EXPECT_EQ(decision(second, "b", "h"), Decision::unknown);
    EXPECT_THAT(second.at.in_doubt, SizeIs(2));
    ASSERT_THAT(second.at.spanning, SizeIs(2));
    EXPECT_EQ(second.at.spanning[0].parts[1].state, StateAt::finished_unseen);
    b.log.complete_since = 1450;
    EXPECT_FALSE(compute_cut(next_group(first, {member("a", {}), b})).usable());
}

TEST(BrokenLogTest, APrepareLostInAFailoverIsReported)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g"), prepared(315, 2, "h")}),
                                    member("b", {prepared(300, 1, "g"), prepared(560, 2, "h")})}));
    CutMember b = member("b", {prepared(570, 3, "h")});
    b.log.events[0].epoch = 2;
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second =
        compute_cut(next_group(first, {member("a", {committed(700, 1), committed(710, 2)}), b}));
    EXPECT_TRUE(second.flags.lost_prepares);
    ASSERT_THAT(second.at.lost, SizeIs(1));
    EXPECT_EQ(second.at.lost[0].global_id, "h");
    EXPECT_TRUE(second.at.lost[0].ambiguous) << "prepared again on the new timeline";
}

// rule 13
TEST(BrokenLogTest, APrepareOnAnAbandonedTailIsReported)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 2, "h")}), member("b", {prepared(560, 2, "h")})}));
    // The tail, seen after the mark; it may go on far beyond what the new timeline holds.
    for (Offset at : {Offset{620}, Offset{90'000}}) {
        CutMember b = member("b", {prepared(at, 3, "i")});
        b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
        CutMember a = member("a", {committed(700, 2), prepared(720, 3, "i"), committed(730, 3)});
        auto second = compute_cut(next_group(first, {a, b}));
        EXPECT_TRUE(second.flags.lost_prepares);
        EXPECT_THAT(second.at.lost, SizeIs(2)) << at;
        EXPECT_EQ(second.members[1].cut, (LogPosition{2, 1500}));
    }
}

TEST(BrokenLogTest, AFinishOnAnAbandonedTailDidNotHappen)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g"), committed(570, 1)}),
                                    member("b", {prepared(300, 1, "g"), committed(560, 1)})}));
    CutMember b = member("b", {});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    EXPECT_EQ(decision(second, "b", "g"), Decision::commit);
}

// rule 5, 13
TEST(BrokenLogTest, AFinishOnAnAbandonedTailForbidsRollback)
{
    CutInput input =
        group({member("a", {prepared(300, 1, "g"), prepared(310, 2, "h")}),
               member("b", {prepared(300, 1, "g"), prepared(310, 2, "h"), committed(560, 1)})});
    auto first = compute_cut(input);
    EXPECT_EQ(decision(first, "a", "g"), Decision::rollback) << "its commit lies behind the cut";
    // g's commit is of the table, h's of a tail that no mark has seen.
    CutMember b = member("b", {committed(620, 2)});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    for (const auto& doubt : second.at.in_doubt) {
        EXPECT_EQ(doubt.verdict.decision, Decision::unknown);
        EXPECT_EQ(doubt.verdict.reason, Reason::commit_abandoned);
        EXPECT_EQ(doubt.verdict.committed_by, "b");
        EXPECT_EQ(doubt.verdict.committed_at,
                  (LogPosition{1, doubt.branch.gid == "g" ? Offset{560} : Offset{620}}));
    }
    EXPECT_THAT(second.at.in_doubt, SizeIs(4));
}

// rule 5, 13: the prepare at b went with the commit, so only a's part is in doubt
TEST(BrokenLogTest, ACommitOnAnAbandonedTailForbidsRollbackWhereItsPrepareIsLostToo)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g"), prepared(310, 2, "h")}), member("b", {})}));
    auto later = [](const CutResult& last, Offset by, std::vector<TransactionEvent> of_a,
                    std::vector<TransactionEvent> of_b) {
        auto input = next_group(last, {member("a", std::move(of_a)), member("b", std::move(of_b))});
        for (CutMember& one : input.members) {
            one.b += by;
            one.r += by;
            one.r_end += by;
            one.e += by;
        }
        input.members[1].log.history = History(2, {{.epoch = 1, .left_at = 600}});
        return compute_cut(input);
    };
    auto second = later(
        first, 0, {},
        {prepared(600, 7, "g"), committed(620, 7), prepared(640, 8, "h"), rolled_back(660, 8)});
    auto third = later(second, 1000, {}, {});
    for (const CutResult* mark : {&second, &third}) {
        ASSERT_THAT(mark->at.in_doubt, SizeIs(2));
        EXPECT_EQ(decision(*mark, "a", "h"), Decision::rollback) << "rolled back on the tail";
        const InDoubt& doubt = mark->at.in_doubt[0];
        EXPECT_EQ(doubt.branch.gid, "g");
        EXPECT_EQ(doubt.verdict.decision, Decision::unknown);
        EXPECT_EQ(doubt.verdict.reason, Reason::commit_abandoned);
        EXPECT_EQ(doubt.verdict.committed_by, "b");
        EXPECT_EQ(doubt.verdict.committed_at, (LogPosition{1, 620}));
        EXPECT_TRUE(mark->flags.unknown_verdicts);
        EXPECT_THAT(mark->at.lost, IsEmpty()) << "committed nowhere";
    }
    // Production commits the rest: it is half there, and told so.
    auto fourth = later(third, 2000, {committed(2700, 1)}, {});
    ASSERT_THAT(fourth.at.lost, SizeIs(1));
    EXPECT_EQ(fourth.at.lost[0].global_id, "g");
}

// rule 5, 13: likewise, where the mark before knew the prepare, and the commit of one
TEST(BrokenLogTest, ALostBranchOfTheTableKeepsItsCommit)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g"), prepared(310, 2, "h")}),
               member("b", {prepared(550, 1, "g"), committed(570, 1), prepared(580, 2, "h")})}));
    CutMember b = member("b", {committed(620, 2)});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    ASSERT_THAT(second.at.in_doubt, SizeIs(2));
    for (const auto& doubt : second.at.in_doubt) {
        EXPECT_EQ(doubt.branch.member, "a");
        EXPECT_EQ(doubt.verdict.decision, Decision::unknown);
        EXPECT_EQ(doubt.verdict.reason, Reason::commit_abandoned);
        EXPECT_EQ(doubt.verdict.committed_by, "b");
        EXPECT_EQ(doubt.verdict.committed_at,
                  (LogPosition{1, doubt.branch.gid == "g" ? Offset{570} : Offset{620}}));
    }
}

// rule 5, 13: whatever stands before or between in the input
TEST(BrokenLogTest, EveryCommitOfATailFindsItsBranch)
{
    auto first = compute_cut(group({member("a", {}), member("b", {prepared(300, 1, "g")})}));
    CutMember b = member("b", {committed(1020, 1), prepared(700, 3, "i"), committed(1030, 3),
                               prepared(1040, 4, "j"), committed(1050, 4), committed(1060, 9)});
    b.log.history = History(2, {{.epoch = 1, .left_at = 900}});
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    ASSERT_THAT(second.at.in_doubt, SizeIs(2));
    for (const auto& doubt : second.at.in_doubt) {
        EXPECT_EQ(doubt.verdict.reason, Reason::commit_abandoned);
        EXPECT_EQ(doubt.branch.abandoned_commit,
                  (LogPosition{1, doubt.branch.gid == "g" ? Offset{1020} : Offset{1030}}));
    }
}

TEST(BrokenLogTest, AHistoryThatDoesNotPassThroughTheTableIsRefused)
{
    auto first = compute_cut(group({member("a", {})}));
    CutMember a = member("a", {});
    a.log.history = History(3, {{.epoch = 2, .left_at = 500}});
    try {
        compute_cut(next_group(first, {a}));
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch);
    }
}

// rule 13
TEST(BrokenLogTest, ATailThatAMarkHadSeenMakesOlderOnesUnknown)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")}), member("b", {})}));
    EXPECT_EQ(decision(first, "a", "g"), Decision::rollback);
    CutMember b = member("b", {});
    b.log.history = History(2, {{.epoch = 1, .left_at = 600}});
    EXPECT_EQ(decision(compute_cut(next_group(first, {member("a", {}), b})), "a", "g"),
              Decision::rollback)
        << "all that the mark saw is still there";
    b.log.history = History(2, {{.epoch = 1, .left_at = 590}});
    EXPECT_EQ(decision(compute_cut(next_group(first, {member("a", {}), b})), "a", "g"),
              Decision::unknown);
}

// rule 13
TEST(BrokenLogTest, SweepsBehindWhichALogWasRewoundProveNothingOfIt)
{
    auto first = compute_cut(group({member("a", {}), member("b", {})}));
    CutMember b = member("b", {});
    b.log.history = History(2, {{.epoch = 1, .left_at = 450}}); // below the mark's r at b
    auto second = compute_cut(
        next_group(first, {member("a", {prepared(610, 1, "g"), prepared(1410, 2, "h")}), b}));
    EXPECT_EQ(decision(second, "a", "g"), Decision::unknown);
    EXPECT_EQ(decision(second, "a", "h"), Decision::rollback);
}

// rule 13
TEST(BrokenLogTest, WhatIsWrittenBelowAnOldSweepAfterARewindCameLater)
{
    // a's g was committed after the mark. b's g stands where the mark's r once was, on the new
    // timeline: it may be a later use.
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")}), member("b", {})}));
    CutMember b = member("b", {prepared(460, 7, "g")});
    b.log.events[0].epoch = 2;
    b.log.history = History(2, {{.epoch = 1, .left_at = 450}});
    auto second = compute_cut(next_group(first, {member("a", {committed(650, 1)}), b}));
    EXPECT_EQ(decision(second, "b", "g"), Decision::unknown);
}

// rule 13
TEST(BrokenLogTest, AnUnknownCommitOnAnAbandonedTailDidNotHappen)
{
    auto first = compute_cut(group({member("a", {}), member("b", {committed(570, 99)})}));
    EXPECT_THAT(first.table.unknown_finishes, SizeIs(1));
    CutMember b = member("b", {});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {}), b}));
    EXPECT_THAT(second.at.unknown_finishes, IsEmpty());
}

// rule 13
TEST(BrokenLogTest, WhatEndsAtTheSwitchPointIsKept)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 1, "g")}), member("b", {prepared(540, 1, "g")})}));
    CutMember b = member("b", {});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {committed(1450, 1)}), b}));
    EXPECT_THAT(second.at.lost, IsEmpty());
    EXPECT_EQ(decision(second, "b", "g"), Decision::commit);
}

// rule 6
TEST(BrokenLogTest, WhatWasListedAfterAGapAndThenGoneIsOver)
{
    auto first = compute_cut(group({member("a", {prepared(300, 1, "g")})}));
    CutMember a = member("a", {});
    a.log.complete_since = 700;
    a.log.seeds = {{.xid = 1, .gid = "g"}};
    EXPECT_THAT(compute_cut(next_group(first, {a})).at.in_doubt, SizeIs(1));
    a.log.seeds[0].gone = true;
    EXPECT_THAT(compute_cut(next_group(first, {a})).at.in_doubt, IsEmpty());
}

// rule 5, 13: its partners are prepared behind one mark and committed behind another
TEST(BrokenLogTest, ALostPartMakesNoTwoUsesOfWhatComesLater)
{
    auto first = compute_cut(group({member("a", {}), member("b", {}), member("c", {})}));
    auto later = [](const CutResult& last, Offset by, std::vector<TransactionEvent> of_a,
                    std::vector<TransactionEvent> of_b, std::vector<TransactionEvent> of_c) {
        auto input = next_group(last, {member("a", std::move(of_a)), member("b", std::move(of_b)),
                                       member("c", std::move(of_c))});
        for (CutMember& one : input.members) {
            one.b += by;
            one.r += by;
            one.r_end += by;
            one.e += by;
        }
        input.members[1].log.history = History(2, {{.epoch = 1, .left_at = 600}});
        return compute_cut(input);
    };
    auto second = later(first, 0, {}, {prepared(620, 3, "g")}, {});
    EXPECT_THAT(second.at.in_doubt, IsEmpty());
    ASSERT_THAT(second.table.branches, SizeIs(1));
    EXPECT_EQ(second.table.branches[0].finish, Finish::lost);
    auto third = later(second, 1000, {prepared(1650, 5, "g")}, {}, {prepared(1660, 6, "g")});
    EXPECT_EQ(decision(third, "a", "g"), Decision::rollback);
    EXPECT_THAT(third.at.lost, IsEmpty());
    auto fourth = later(third, 2000, {}, {}, {committed(2700, 6)});
    EXPECT_EQ(decision(fourth, "a", "g"), Decision::commit);
    ASSERT_THAT(fourth.at.lost, SizeIs(1));
    EXPECT_FALSE(fourth.at.lost[0].ambiguous);
}

// rule 5, 13: a gap of b's log follows the switch, so the logs are complete from behind it only
TEST(BrokenLogTest, ALostPartFromBeforeAGapLeavesTheVerdictToTheOthers)
{
    auto first = compute_cut(group({member("a", {}), member("b", {}), member("c", {})}));
    auto cut_b = [](std::vector<TransactionEvent> events) {
        CutMember b = member("b", std::move(events));
        b.log.history = History(2, {{.epoch = 1, .left_at = 600}});
        b.log.complete_since = 700;
        return b;
    };
    auto second = compute_cut(
        next_group(first, {member("a", {}), cut_b({prepared(620, 3, "g")}), member("c", {})}));
    ASSERT_TRUE(second.usable());
    ASSERT_THAT(second.table.branches, SizeIs(1));
    ASSERT_EQ(second.table.branches[0].finish, Finish::lost);
    auto input = next_group(second, {member("a", {prepared(1650, 5, "g")}), cut_b({}),
                                     member("c", {prepared(1660, 6, "g")})});
    for (CutMember& one : input.members) {
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    auto third = compute_cut(input);
    EXPECT_EQ(decision(third, "a", "g"), Decision::rollback);
    EXPECT_EQ(decision(third, "c", "g"), Decision::rollback);
}

// rule 13
TEST(BrokenLogTest, ATailThatTheTableKnowsIsNotReportedTwice)
{
    auto first = compute_cut(
        group({member("a", {prepared(300, 2, "h")}), member("b", {prepared(560, 2, "h")})}));
    CutMember b = member("b", {prepared(560, 2, "h")});
    b.log.history = History(2, {{.epoch = 1, .left_at = 550}});
    auto second = compute_cut(next_group(first, {member("a", {committed(700, 2)}), b}));
    ASSERT_THAT(second.at.lost, SizeIs(1));
    EXPECT_THAT(second.at.lost[0].parts, SizeIs(2));
}

} // namespace
} // namespace tidemark::model
