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

// rule 1
TEST(ReuseTest, EveryBranchOfAMemberCounts)
{
    std::vector<CutMember> members{member("a", {prepared(430, 7, "g/1"), committed(480, 7)}),
                                   member("b", {prepared(440, 8, "g/2"), prepared(520, 9, "g/3")})};
    for (CutMember& one : members)
        one.log.pattern = GidPattern::parse("regex:([^/]+)/[0-9]");
    auto result = compute_cut(group(std::move(members)));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{480, 500}));
    EXPECT_THAT(result.at.in_doubt, SizeIs(2));
    ASSERT_THAT(result.at.spanning, SizeIs(1));
    EXPECT_EQ(result.at.spanning[0].global_id, "g");
    EXPECT_THAT(result.at.spanning[0].parts, SizeIs(3));
}

TEST(ReuseTest, ABranchOlderThanTheLogsDecidesNoneThatBeganLater)
{
    // a's own part of the old use may have ended before its log began.
    CutMember b = member("b", {committed(350, 99)});
    b.log.seeds = {{.xid = 99, .gid = "g"}};
    auto result = compute_cut(group({member("a", {prepared(300, 1, "g")}), b}));
    EXPECT_EQ(reason(result), Reason::ambiguous_id);
}

TEST(ReuseTest, ASeedThatWentAwayShowsThatItsIdIsUsedAgain)
{
    CutMember a = member("a", {prepared(105, 1, "g")});
    a.log.seeds = {{.xid = 7, .gid = "g", .gone = true}};
    CutMember b = member("b", {committed(350, 99)});
    b.log.seeds = {{.xid = 99, .gid = "g"}};
    EXPECT_EQ(reason(compute_cut(group({a, b}))), Reason::ambiguous_id);
}

// rule 1
TEST(ReuseTest, AReusedIdIsToldApartByItsLog)
{
    // order-1 was tried, rolled back everywhere, and tried again: b is in doubt with the second
    // try.
    auto result = compute_cut(group({
        member("a", {prepared(200, 1, "g"), rolled_back(210, 1), prepared(300, 2, "g"),
                     committed(420, 2)}),
        member("b", {prepared(200, 1, "g"), rolled_back(210, 1), prepared(300, 2, "g")}),
    }));
    EXPECT_EQ(reason(result), Reason::ambiguous_id)
        << "nothing but clocks can tell, and none is known";
    CutInput input = group({
        member("a", {prepared(200, 1, "g"), rolled_back(210, 1), prepared(300, 2, "g"),
                     committed(420, 2)}),
        member("b", {prepared(200, 1, "g"), rolled_back(210, 1), prepared(300, 2, "g")}),
    });
    for (CutMember& one : input.members) {
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{5}};
    }
    EXPECT_EQ(decision(compute_cut(input), "b", "g"), Decision::commit);
    for (CutMember& one : input.members)
        one.log.clock->error = std::chrono::seconds{5};
    result = compute_cut(input);
    EXPECT_EQ(reason(result), Reason::ambiguous_id);
    EXPECT_THAT(result.at.ambiguous_ids, testing::ElementsAre("g"));
    EXPECT_THAT(result.at.damaged, IsEmpty()) << "uses that may differ are no damage";
}

TEST(ReuseTest, ClocksNeverSplitASingleUse)
{
    CutInput input = group({member("a", {prepared(430, 1, "g", 0), committed(480, 1, 1)}),
                            member("b", {prepared(520, 1, "g", 900'000)})});
    for (CutMember& one : input.members) {
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{1}};
    }
    EXPECT_EQ(cuts(compute_cut(input)), (std::vector<Offset>{480, 500}));
}

// rule 1
TEST(ReuseTest, NearestPrepareTimesWouldPairWrongly)
{
    // b prepares 800 ms after a. The second use begins 100 ms after that: nearest to b's first
    // prepare, and yet not its partner. The lives of the branches tell it.
    CutInput input = group({
        member("a", {prepared(200, 1, "g", 0), committed(210, 1, 850), prepared(300, 2, "g", 900)}),
        member("b", {prepared(200, 1, "g", 800), committed(210, 1, 860)}),
    });
    for (CutMember& one : input.members) {
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{5}};
    }
    EXPECT_EQ(decision(compute_cut(input), "a", "g"), Decision::rollback);
}

/// One worker that calls every transaction "g", over and over.
CutInput one_gid_worker()
{
    CutMember a = member("a", {});
    CutMember b = member("b", {});
    for (std::uint32_t i = 0; i < 11; ++i) {
        std::int64_t ms = std::int64_t{100} * i;
        Offset at = 130 + 42 * i;
        a.log.events.push_back(prepared(at, i, "g", ms));
        b.log.events.push_back(prepared(at, i, "g", ms + 5));
        a.log.events.push_back(committed(at + 20, i, ms + 10));
        b.log.events.push_back(committed(at + 20, i, ms + 15));
    }
    b.b = 420; // read a little later than a's, and its restore point a little earlier
    b.r = 465;
    b.r_end = 475;
    return group({a, b});
}

TEST(ReuseTest, AnIdInConstantUseFallsBackOnClocks)
{
    CutInput input = one_gid_worker();
    auto blind = compute_cut(input);
    EXPECT_THAT(blind.violations, testing::Not(IsEmpty()));
    for (CutMember& one : input.members) {
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{20}};
    }
    auto result = compute_cut(input);
    EXPECT_THAT(result.violations, IsEmpty());
    EXPECT_TRUE(result.flags.relies_on_clocks);
    EXPECT_LE(result.table.branches.size(), 6U) << "the past of a busy id is not carried";
}

TEST(ClockReadingTest, TwoReadingsAreTighterThanOne)
{
    using namespace std::chrono_literals;
    ClockReading both = combine({.offset = 10ms, .error = 4ms}, {.offset = 14ms, .error = 2ms}, 0s);
    EXPECT_EQ(both.offset, 13ms);
    EXPECT_EQ(both.error, 1ms);
    ClockReading drifted =
        combine({.offset = 10ms, .error = 0ms}, {.offset = 12ms, .error = 10ms}, 10s);
    EXPECT_EQ(drifted.error, 2ms);
    ClockReading stepped =
        combine({.offset = 0ms, .error = 1ms}, {.offset = 1000ms, .error = 1ms}, 0s);
    EXPECT_EQ(stepped.offset, 500ms);
    EXPECT_EQ(stepped.error, 501ms);
}

TEST(ClockReadingTest, TwoClocksAreCovered)
{
    using namespace std::chrono_literals;
    ClockReading both = cover({.offset = 0ms, .error = 20ms}, {.offset = 19ms, .error = 20ms}, 5s);
    EXPECT_EQ(both.offset - both.error, -21ms);
    EXPECT_EQ(both.offset + both.error, 39ms);
}

/// Sweeps at 110, 220 and 250: what ends before 220 at one member is over before what begins after
/// 250 at another.
CutInput swept_group(std::vector<CutMember> members)
{
    CutInput input = group(std::move(members));
    for (Offset at : {Offset{220}, Offset{250}}) {
        Sweep sweep;
        for (const CutMember& one : input.members)
            sweep[one.log.name] = at;
        input.anchor.push_back(std::move(sweep));
    }
    return input;
}

// rule 1
TEST(ReuseTest, SweepsSplitTheUsesOfAnId)
{
    CutInput input = swept_group(
        {member("a", {prepared(120, 1, "g"), committed(200, 1), prepared(300, 2, "g"),
                      committed(420, 2)}),
         member("b", {prepared(120, 1, "g"), committed(200, 1), prepared(300, 2, "g")})});
    auto result = compute_cut(input);
    EXPECT_EQ(decision(result, "b", "g"), Decision::commit);
    EXPECT_THAT(result.at.ambiguous_ids, IsEmpty());
    input.anchor.pop_back(); // 220 alone: read at b perhaps after g was prepared there again
    EXPECT_EQ(reason(compute_cut(input)), Reason::ambiguous_id);
    input.members[1].log.events.erase(input.members[1].log.events.begin(),
                                      input.members[1].log.events.begin() + 2);
    EXPECT_EQ(reason(compute_cut(input)), Reason::ambiguous_id) << "though b used it once";
}

/// g was used twice at a, up to 210. At d it was rolled back at 350, which ties a's uses to what is
/// in doubt at b.
CutInput chained_uses(EventKind end_at_d)
{
    return swept_group({member("a", {prepared(120, 1, "g"), rolled_back(140, 1),
                                     prepared(160, 2, "g"), committed(200, 2)}),
                        member("b", {prepared(300, 9, "g")}),
                        member("d", {prepared(130, 5, "g"), event(end_at_d, 350, 5)})});
}

// rule 1
TEST(ReuseTest, ACommitThatSweepsPutBeforeThePrepareIsNoEvidence)
{
    EXPECT_EQ(reason(compute_cut(chained_uses(EventKind::rollback))), Reason::not_committed);
    EXPECT_EQ(reason(compute_cut(chained_uses(EventKind::commit))), Reason::ambiguous_id)
        << "nothing puts d's commit before it";
}

// rule 1
TEST(ReuseTest, UsesThatSweepsTellApartAreNoneThoughNoMemberTellsThem)
{
    // The first use at a is split off. Of the rest every member holds one branch, tied by d's.
    CutInput input = group({member("a", {prepared(120, 1, "g"), rolled_back(130, 1),
                                         prepared(170, 2, "g"), committed(190, 2)}),
                            member("b", {prepared(300, 9, "g")}),
                            member("d", {prepared(170, 5, "g"), rolled_back(350, 5)})});
    for (Offset at : {Offset{150}, Offset{160}, Offset{220}, Offset{250}}) {
        input.anchor.push_back({{"a", at}, {"b", at}, {"d", at}});
    }
    EXPECT_EQ(reason(compute_cut(input)), Reason::not_committed);
}

// rule 1
TEST(ReuseTest, ACommitThatClocksPutBeforeThePrepareIsNoEvidence)
{
    CutInput input = group({member("a", {prepared(120, 1, "g", 0), rolled_back(140, 1, 1),
                                         prepared(160, 2, "g", 2), committed(200, 2, 3)}),
                            member("b", {prepared(300, 9, "g", 200)}),
                            member("d", {prepared(130, 5, "g", 5), rolled_back(350, 5, 300)})});
    EXPECT_EQ(reason(compute_cut(input)), Reason::ambiguous_id);
    for (CutMember& one : input.members)
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{5}};
    auto told_apart = compute_cut(input);
    EXPECT_EQ(reason(told_apart), Reason::not_committed);
    EXPECT_THAT(told_apart.table.branches, SizeIs(2)) << "a's uses are forgotten";
    for (CutMember& one : input.members)
        one.log.clock->error = std::chrono::milliseconds{99};
    EXPECT_EQ(reason(compute_cut(input)), Reason::ambiguous_id) << "3 + 99 is after 200 - 99";
}

// rule 1
TEST(ReuseTest, AClocksOffsetCounts)
{
    CutInput input = group({member("a", {prepared(120, 1, "g", 0), committed(140, 1, 10),
                                         prepared(160, 2, "g", 100), committed(200, 2, 110)}),
                            member("b", {prepared(300, 9, "g", 1100)})});
    for (CutMember& one : input.members)
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{5}};
    EXPECT_EQ(reason(compute_cut(input)), Reason::not_committed);
    input.members[1].log.clock->offset = std::chrono::milliseconds{1000}; // it was 100 by ours
    EXPECT_EQ(decision(compute_cut(input), "b", "g"), Decision::commit);
}

// rule 1
TEST(ReuseTest, AMembersOwnFormerUseIsNoEvidence)
{
    auto result = compute_cut(
        group({member("a", {prepared(120, 1, "g"), committed(200, 1), prepared(210, 2, "g")}),
               member("b", {})}));
    EXPECT_EQ(reason(result), Reason::not_committed);
}

// rule 4
TEST(ReuseTest, AnIdThatWasMixedStaysSoWhenItsFormerUsesAreForgotten)
{
    auto first = compute_cut(chained_uses(EventKind::commit));
    ASSERT_THAT(first.table.branches, SizeIs(2)) << "a's uses are over and forgotten";
    auto second =
        compute_cut(next_group(first, {member("a", {}), member("b", {}), member("d", {})}));
    EXPECT_EQ(reason(second), Reason::ambiguous_id) << "not the only use of its id";
}

// rule 1
TEST(ReuseTest, UsesThatMayDifferAreNeitherTornNorDamaged)
{
    auto result = compute_cut(chained_uses(EventKind::rollback));
    EXPECT_THAT(result.at.damaged, IsEmpty()) << "committed at a, rolled back at d, perhaps apart";
    std::vector<MemberLog> logs;
    for (const CutMember& one : chained_uses(EventKind::rollback).members)
        logs.push_back(one.log);
    EXPECT_THAT(evaluate_at(logs, {{"a", 300}, {"b", 300}, {"d", 300}}).torn, IsEmpty());
}

// rule 1, 4
TEST(ReuseTest, WhatSweepsPutApartIsDecidedByNobodyThoughNoMemberUsedItsIdTwice)
{
    auto first = compute_cut(swept_group({member("a", {prepared(120, 1, "g"), committed(200, 1)}),
                                          member("b", {prepared(300, 2, "g")})}));
    EXPECT_EQ(reason(first), Reason::ambiguous_id);
    auto second = compute_cut(next_group(first, {member("a", {}), member("b", {})}));
    EXPECT_EQ(reason(second), Reason::ambiguous_id) << "the commit is carried with it";
}

// rule 1
TEST(ReuseTest, UsesThatMayHaveMetAreOne)
{
    // The first use at a is split off; the rest ends and begins around one and the same sweep.
    CutInput input = group({member("a", {prepared(120, 1, "g"), rolled_back(130, 1),
                                         prepared(170, 2, "g"), committed(190, 2)}),
                            member("b", {prepared(300, 9, "g")})});
    for (Offset at : {Offset{150}, Offset{160}, Offset{220}})
        input.anchor.push_back({{"a", at}, {"b", at}});
    EXPECT_EQ(decision(compute_cut(input), "b", "g"), Decision::commit);
}

// rule 1
TEST(ReuseTest, APrepareOutsideDragsNoCommitThatSweepsPutBeforeIt)
{
    auto result =
        compute_cut(swept_group({member("a", {prepared(120, 1, "g"), rolled_back(140, 1),
                                              prepared(160, 2, "g"), committed(200, 2)}),
                                 member("b", {prepared(520, 9, "g")}),
                                 member("d", {prepared(130, 5, "g"), rolled_back(450, 5)})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500, 500}));
    EXPECT_THAT(result.violations, IsEmpty());
}

// rule 1
TEST(ReuseTest, ClocksAreNotAskedWhereTheCutStaysAboveBWithoutThem)
{
    CutInput input = group({member("a", {prepared(410, 1, "g", 0), committed(420, 1, 10),
                                         prepared(440, 2, "g", 100), committed(460, 2, 110)}),
                            member("b", {prepared(415, 1, "g", 0), committed(425, 1, 10),
                                         prepared(520, 2, "g", 900)})});
    for (CutMember& one : input.members)
        one.log.clock = ClockReading{.offset = {}, .error = std::chrono::milliseconds{5}};
    auto result = compute_cut(input);
    EXPECT_EQ(cuts(result), (std::vector<Offset>{420, 425}));
    EXPECT_FALSE(result.flags.relies_on_clocks);
}

} // namespace
} // namespace tidemark::model
