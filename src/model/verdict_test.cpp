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
TEST(VerdictTest, CommittedInsideAtOneMemberDecidesTheOther)
{
    auto result = compute_cut(group({member("a", {prepared(300, 1, "g"), committed(450, 1)}),
                                     member("b", {prepared(310, 1, "g"), committed(550, 1)})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500}));
    EXPECT_EQ(decision(result, "b", "g"), Decision::commit);
    const Verdict& verdict = result.at.in_doubt[0].verdict;
    EXPECT_EQ(verdict.committed_by, "a");
    EXPECT_EQ(verdict.committed_at, (LogPosition{1, 450}));
    EXPECT_FALSE(result.at.in_doubt[0].differs_from_production);
    EXPECT_THAT(result.at.spanning, SizeIs(1));
    EXPECT_THAT(result.table.branches, SizeIs(2)) << "b finished after the cut";
}

TEST(VerdictTest, TheFirstMarkWithoutAnAnchorRollsNothingBack)
{
    CutInput input =
        group({member("a", {prepared(300, 1, "g")}), member("b", {prepared(300, 1, "g")})});
    EXPECT_EQ(decision(compute_cut(input), "a", "g"), Decision::rollback);
    input.anchor.clear();
    EXPECT_EQ(reason(compute_cut(input)), Reason::log_incomplete);
}

// rule 5
TEST(VerdictTest, PreparedBeforeAllLogsWereKeptIsUnknown)
{
    auto result = compute_cut(group({member("a", {prepared(105, 1, "g")}), member("b", {})}));
    ASSERT_THAT(result.at.in_doubt, SizeIs(1));
    EXPECT_EQ(reason(result), Reason::log_incomplete);
    EXPECT_TRUE(result.flags.unknown_verdicts);
}

// rule 4
TEST(VerdictTest, HalfFinishedTransactionsAreCarried)
{
    auto first = compute_cut(group({member("a", {prepared(200, 1, "g"), committed(300, 1)}),
                                    member("b", {prepared(210, 1, "g")})}));
    EXPECT_THAT(first.table.branches, SizeIs(2));
    auto second = compute_cut(next_group(first, {member("a", {}), member("b", {})}));
    EXPECT_EQ(decision(second, "b", "g"), Decision::commit);
    auto third_input = next_group(second, {member("a", {}), member("b", {committed(1700, 1)})});
    for (CutMember& one : third_input.members) {
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    auto third = compute_cut(third_input);
    EXPECT_THAT(third.at.in_doubt, IsEmpty());
    EXPECT_THAT(third.table.branches, IsEmpty()) << "all are finished inside";
}

// rule 4
TEST(VerdictTest, ACommitBetweenTheBoundsIsCarriedForAPrepareNotYetSeen)
{
    // e was read at b first; then g was prepared at b and committed at a; then e was read at a.
    auto first = compute_cut(
        group({member("a", {prepared(400, 1, "g"), committed(590, 1)}), member("b", {})}));
    EXPECT_THAT(first.table.branches, SizeIs(1));
    auto second =
        compute_cut(next_group(first, {member("a", {}), member("b", {prepared(610, 2, "g")})}));
    EXPECT_EQ(decision(second, "b", "g"), Decision::commit);
}

// rule 8
TEST(VerdictTest, DamageInProductionIsReported)
{
    auto result = compute_cut(group({member("a", {prepared(200, 1, "g"), committed(300, 1)}),
                                     member("b", {prepared(210, 1, "g"), rolled_back(310, 1)})}));
    ASSERT_THAT(result.at.damaged, SizeIs(1));
    EXPECT_EQ(result.at.damaged[0].global_id, "g");
    EXPECT_TRUE(result.flags.heuristic_damage);
}

// rule 8
TEST(VerdictTest, RolledBackAfterTheCutThoughCommittedInside)
{
    auto first = compute_cut(group({member("a", {prepared(200, 1, "g"), committed(300, 1)}),
                                    member("b", {prepared(210, 1, "g"), rolled_back(550, 1)})}));
    EXPECT_EQ(decision(first, "b", "g"), Decision::commit);
    EXPECT_TRUE(first.at.in_doubt[0].differs_from_production);
    EXPECT_TRUE(first.flags.differs_from_production);
    auto second = compute_cut(next_group(first, {member("a", {}), member("b", {})}));
    EXPECT_THAT(second.at.damaged, SizeIs(1)) << "and the next mark holds the damage";
}

TEST(VerdictTest, AGidThatDoesNotMatchStandsAlone)
{
    CutMember a =
        member("a", {prepared(430, 7, "local"), committed(480, 7), prepared(490, 8, "x")});
    CutMember b = member("b", {prepared(520, 9, "local")});
    a.log.pattern = b.log.pattern = GidPattern::parse("regex:order-([0-9]+)");
    auto result = compute_cut(group({a, b}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500}));
    ASSERT_THAT(result.at.in_doubt, SizeIs(1));
    EXPECT_EQ(reason(result), Reason::unmatched_gid);
}

TEST(VerdictTest, ANewPatternMakesNobodyRollBackWhatThePartnerOfCommitted)
{
    // Taken for two transactions: what is finished at a is left out of the table.
    auto first = compute_cut(group({member("a", {prepared(200, 1, "g_1"), committed(300, 1)}),
                                    member("b", {prepared(210, 1, "g_2")})}));
    EXPECT_EQ(decision(first, "b", "g_2"), Decision::rollback);
    auto input = next_group(first, {member("a", {}), member("b", {prepared(1450, 2, "h_1")})});
    for (CutMember& one : input.members)
        one.log.pattern = GidPattern::parse("regex:(.*)_[0-9]+");
    auto second = compute_cut(input);
    EXPECT_EQ(decision(second, "b", "g_2"), Decision::unknown);
    EXPECT_EQ(reason(second, 0), Reason::log_incomplete);
    // What is prepared from then on has all its evidence.
    EXPECT_EQ(decision(second, "b", "h_1"), Decision::rollback);
    auto third = next_group(second, {member("a", {}), member("b", {})});
    for (CutMember& one : third.members) {
        one.log.pattern = GidPattern::parse("regex:(.*)_[0-9]+");
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    EXPECT_EQ(decision(compute_cut(third), "b", "g_2"), Decision::unknown);
    EXPECT_EQ(decision(compute_cut(third), "b", "h_1"), Decision::rollback);
}

TEST(VerdictTest, AnyVectorShowsWhatIsTorn)
{
    std::vector<MemberLog> logs{
        member("a", {prepared(300, 1, "g"), committed(350, 1), prepared(360, 2, "h")}).log,
        member("b", {prepared(320, 1, "g"), committed(370, 1), prepared(380, 2, "h")}).log};
    auto torn = evaluate_at(logs, {{"a", 360}, {"b", 320}});
    ASSERT_THAT(torn.torn, SizeIs(1));
    EXPECT_EQ(torn.torn[0].global_id, "g");
    EXPECT_EQ(torn.torn[0].parts[1].state, StateAt::absent);
    auto settled = evaluate_at(logs, {{"a", 370}, {"b", 330}}, nullptr, {{{"a", 150}, {"b", 150}}});
    EXPECT_THAT(settled.torn, IsEmpty());
    ASSERT_THAT(settled.in_doubt, SizeIs(2));
    EXPECT_EQ(settled.in_doubt[0].verdict.decision, Decision::commit);
    EXPECT_EQ(settled.in_doubt[0].branch.member, "b");
    EXPECT_EQ(settled.in_doubt[1].verdict.decision, Decision::rollback);
    EXPECT_THROW(evaluate_at(logs, {{"a", 360}}), base::Error);
}

// rule 5
TEST(VerdictTest, LogsAreCompleteFromTheSweepAfterAllWereKept)
{
    // a's log is kept from 130 on, which may be later than b's 150 was read.
    CutMember a = member("a", {});
    a.log.complete_since = 130;
    CutInput input = group({a, member("b", {prepared(170, 1, "early"), prepared(220, 2, "late")})});
    input.anchor.push_back({{"a", 150}, {"b", 150}});
    input.anchor.push_back({{"a", 200}, {"b", 200}});
    auto result = compute_cut(input);
    EXPECT_EQ(decision(result, "b", "early"), Decision::unknown);
    EXPECT_EQ(decision(result, "b", "late"), Decision::rollback);
}

// rule 5
TEST(VerdictTest, AnAnchorReadBeforeAMembersLogBeganProvesNothing)
{
    CutMember a = member("a", {});
    a.log.complete_since = 120; // the anchor is at 110
    auto result = compute_cut(group({a, member("b", {prepared(300, 1, "g")})}));
    EXPECT_EQ(decision(result, "b", "g"), Decision::unknown);
}

// rule 4
TEST(VerdictTest, LogThatTheTableKnowsMayBeGivenAgain)
{
    std::vector<CutMember> members{member("a", {prepared(300, 1, "g"), committed(450, 1)}),
                                   member("b", {prepared(310, 1, "g")})};
    auto first = compute_cut(group(members));
    auto second = compute_cut(next_group(first, members));
    ASSERT_THAT(second.at.in_doubt, SizeIs(1));
    EXPECT_EQ(decision(second, "b", "g"), Decision::commit);
    EXPECT_THAT(second.at.spanning.at(0).parts, SizeIs(2));
}

} // namespace
} // namespace tidemark::model
