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

// rule 2
TEST(CutTest, NothingInFlightCutsAtTheRestorePoints)
{
    auto result = compute_cut(group({member("a", {prepared(200, 1, "g"), committed(220, 1)}),
                                     member("b", {prepared(200, 1, "g"), committed(220, 1)})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500}));
    EXPECT_EQ(result.iterations, 0U);
    EXPECT_THAT(result.at.in_doubt, IsEmpty());
    EXPECT_THAT(result.table.branches, IsEmpty());
    EXPECT_THAT(result.violations, IsEmpty());
    EXPECT_TRUE(result.flags.two_phase_only);
    EXPECT_TRUE(result.usable());
}

TEST(CutTest, RetreatsBeforeACommitWhosePartnerPreparedTooLate)
{
    auto result = compute_cut(group({member("a", {prepared(430, 7, "g"), committed(480, 7)}),
                                     member("b", {prepared(520, 9, "g")})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{480, 500}));
    ASSERT_TRUE(result.members[0].retreat);
    EXPECT_EQ(result.members[0].retreat_bytes, 20U);
    EXPECT_EQ(result.members[0].retreat->global_id, "g");
    EXPECT_EQ(result.members[0].retreat->xid, 7U);
    EXPECT_EQ(result.members[0].retreat->because_of, "b");
    EXPECT_EQ(result.members[0].retreat->prepare, (LogPosition{1, 520}));
    EXPECT_EQ(result.iterations, 1U);
    EXPECT_EQ(decision(result, "a", "g"), Decision::rollback);
    EXPECT_THAT(result.at.torn, IsEmpty());
    EXPECT_THAT(result.violations, IsEmpty());
}

TEST(CutTest, ARetreatCausesTheNext)
{
    auto result = compute_cut(group({
        member("a", {prepared(430, 1, "g1"), committed(470, 1), prepared(480, 2, "g2")}),
        member("b", {prepared(410, 1, "g2"), committed(490, 1)}),
        member("c", {prepared(505, 1, "g1")}),
    }));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{470, 490, 500}));
    EXPECT_EQ(result.iterations, 2U);
}

/// The example of docs/consistency.md.
TEST(CutTest, TheExampleOfTheDocumentation)
{
    CutMember a = member(
        "a", {prepared(700, 1, "g"), committed(880, 1), prepared(890, 2, "h"), committed(950, 2)});
    a.b = 500;
    a.r = 900;
    a.r_end = 910;
    a.e = 1000;
    CutMember b = member("b", {prepared(510, 2, "g"), committed(640, 2)});
    b.b = 300;
    b.e = 700;
    CutMember c = member("c", {prepared(260, 1, "h"), committed(280, 1)});
    c.log.complete_since = 50;
    c.b = 120;
    c.r = 300;
    c.r_end = 310;
    c.e = 400;
    auto first = compute_cut(group({a, b, c}));
    EXPECT_EQ(cuts(first), (std::vector<Offset>{880, 500, 280}));
    EXPECT_EQ(first.iterations, 2U);
    EXPECT_EQ(decision(first, "a", "g"), Decision::rollback);
    EXPECT_EQ(decision(first, "c", "h"), Decision::rollback);
    EXPECT_THAT(first.table.branches, SizeIs(4));
    EXPECT_THAT(first.violations, IsEmpty());
    auto second = compute_cut(next_group(first, {a, b, c}));
    EXPECT_THAT(second.at.in_doubt, IsEmpty());
    EXPECT_THAT(second.table.branches, IsEmpty());
}

// rule 3
TEST(CutTest, CommittingBeforeAllHavePreparedIsAViolation)
{
    auto result = compute_cut(group({member("a", {prepared(300, 1, "g"), committed(350, 1)}),
                                     member("b", {prepared(520, 1, "g")})}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{350, 500}));
    ASSERT_THAT(result.violations, SizeIs(1));
    EXPECT_EQ(result.violations[0].kind, ViolationKind::below_lower_bound);
    EXPECT_EQ(result.violations[0].member, "a");
    EXPECT_EQ(result.violations[0].bound, 400U);
    EXPECT_EQ(result.violations[0].global_id, "g");
    EXPECT_TRUE(result.usable());
}

TEST(CutTest, AFixedMemberHoldsAndTheRestRetreats)
{
    CutMember a = member("a", {prepared(430, 1, "g"), committed(470, 1)});
    CutMember b = member("b", {prepared(480, 1, "g")});
    b.fixed = 460;
    auto result = compute_cut(group({a, b}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{470, 460}));
    EXPECT_THAT(result.violations, IsEmpty());
    b.fixed = 480; // the very start of the prepare: outside
    EXPECT_EQ(cuts(compute_cut(group({a, b}))), (std::vector<Offset>{470, 480}));
    a.fixed = 500;
    b.fixed = 460;
    result = compute_cut(group({a, b}));
    ASSERT_THAT(result.violations, SizeIs(1));
    EXPECT_EQ(result.violations[0].kind, ViolationKind::fixed_must_retreat);
    EXPECT_FALSE(result.usable());
    a.fixed.reset();
    b.fixed = 520;
    EXPECT_FALSE(compute_cut(group({a, b})).usable());
}

TEST(CutTest, ContradictionsAreRefused)
{
    EXPECT_THROW(compute_cut({}), base::Error);
    EXPECT_THROW(compute_cut(group({member("a", {}), member("a", {})})), base::Error);
    EXPECT_THROW(compute_cut(group({member("a", {committed(300, 1), committed(300, 2)})})),
                 base::Error);
    EXPECT_THROW(compute_cut(group({member("a", {committed(300, 1), committed(200, 2)})})),
                 base::Error);
    CutMember wrong = member("a", {});
    wrong.b = 501;
    EXPECT_THROW(compute_cut(group({wrong})), base::Error);
    auto first = compute_cut(group({member("a", {})}));
    CutInput back{.members = {member("a", {})}, .previous = &first.table};
    EXPECT_THROW(compute_cut(back), base::Error) << "the log stands before the last mark's end";
}

TEST(CutTest, AMillionEventsTakeWellUnderASecond)
{
    std::vector<CutMember> members;
    for (const char* name : {"a", "b", "c", "d"}) {
        CutMember one = member(name, {});
        for (std::uint32_t i = 0; i < 125'000; ++i) {
            std::string gid = "transfer-" + std::to_string(i) + "-of-a-bank";
            one.log.events.push_back(prepared(200 + 40ULL * i, i, gid));
            one.log.events.push_back(committed(220 + 40ULL * i, i));
        }
        one.r = 200 + 40ULL * 124'000 + 1000 * (members.size() % 2);
        one.b = one.r - 5000;
        one.r_end = one.r + 10;
        one.e = one.r + 30'000;
        members.push_back(std::move(one));
    }
    CutInput input = group(std::move(members));
    auto before = std::chrono::steady_clock::now();
    auto result = compute_cut(input);
    auto took = std::chrono::steady_clock::now() - before;
    RecordProperty("milliseconds", static_cast<int>(took / std::chrono::milliseconds{1}));
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    constexpr std::chrono::seconds kLimit{60};
#else
    constexpr std::chrono::seconds kLimit{3}; // even on a busy machine with a debug build
#endif
    EXPECT_LT(took, kLimit);
    EXPECT_GT(result.iterations, 0U);
    EXPECT_THAT(result.violations, IsEmpty());
}

// rule 2
TEST(CutTest, WhatEndsAtTheCutIsInsideAndWhatStartsThereIsNot)
{
    CutMember a = member("a", {prepared(430, 1, "g"), committed(470, 1), prepared(490, 2, "h")});
    CutMember b = member("b", {prepared(440, 1, "g"), committed(490, 1)});
    auto result = compute_cut(group({a, b}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{500, 500}));
    ASSERT_THAT(result.at.in_doubt, SizeIs(1)) << "h ends at the cut, g is over there";
    EXPECT_EQ(result.at.in_doubt[0].branch.gid, "h");
    EXPECT_THAT(result.table.branches, SizeIs(1));
    b.fixed = 440; // the prepare of g starts where b has to stop
    a.fixed = 470; // and so does its commit at a
    result = compute_cut(group({a, b}));
    EXPECT_EQ(cuts(result), (std::vector<Offset>{470, 440}));
    EXPECT_THAT(result.violations, IsEmpty());
    EXPECT_EQ(result.iterations, 0U);
    EXPECT_FALSE(result.members[0].retreat);
}

// rule 3
TEST(CutTest, ACutBelowTheLastMarksEndIsNotPlaced)
{
    auto first = compute_cut(group({member("a", {prepared(430, 1, "g")}), member("b", {})}));
    for (Offset start : {Offset{600}, Offset{599}}) { // e of the first mark is 600
        CutMember a = member("a", {committed(start, 1)});
        auto second = compute_cut(next_group(first, {a, member("b", {prepared(1520, 1, "g")})}));
        EXPECT_EQ(cuts(second), (std::vector<Offset>{start, 1500}));
        ASSERT_THAT(second.violations, SizeIs(1));
        EXPECT_EQ(second.usable(), start == 600) << "below b, but all of it is known";
        EXPECT_EQ(second.violations[0].kind,
                  start == 600 ? ViolationKind::below_lower_bound : ViolationKind::before_previous);
    }
}

// rule 3
TEST(CutTest, BelowBTheLogsMustBeCompleteThatFarBack)
{
    std::vector<CutMember> members{member("a", {prepared(300, 1, "g"), committed(350, 1)}),
                                   member("b", {prepared(520, 1, "g")})};
    EXPECT_TRUE(compute_cut(group(members)).usable());
    CutInput late = group(members);
    late.anchor = {{{"a", 360}, {"b", 360}}};
    EXPECT_FALSE(compute_cut(late).usable()) << "what was written before 360 may be unknown";
    members[1].log.events.insert(members[1].log.events.begin(), committed(130, 99));
    EXPECT_FALSE(compute_cut(group(members)).usable()) << "whose commit was that?";
    members[1].log.events.erase(members[1].log.events.begin());
    members[0].log.complete_since = 355;
    members[0].log.seeds = {{.xid = 1, .gid = "g"}};
    EXPECT_THAT(compute_cut(group(members)).violations,
                testing::Contains(testing::Field(&Violation::kind, ViolationKind::log_gap)))
        << "the gap ends behind the cut, though before b";
}

TEST(CutTest, LogBehindTheBoundsChangesNothing)
{
    CutMember a = member("a", {prepared(430, 1, "g"), committed(480, 1)});
    CutMember b = member("b", {prepared(440, 1, "g")});
    auto result = compute_cut(group({a, b}));
    a.log.events.push_back(prepared(605, 2, "h"));
    b.log.events.push_back(prepared(595, 2, "g")); // ends behind e
    b.log.events.push_back(committed(650, 1));
    EXPECT_EQ(compute_cut(group({a, b})), result);
}

} // namespace
} // namespace tidemark::model
