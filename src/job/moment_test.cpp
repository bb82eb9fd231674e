#include "job/moment.h"

#include "base/error.h"
#include "job/audit.h"
#include "job/world_testing.h"
#include "repo/marks.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;

class MomentTest : public ::testing::Test {
protected:
    base::Time now() { return world.clock().now(); }
    void wait(base::Duration how_long) { world.clock().advance(how_long); }
    repo::StoredMark mark()
    {
        wait(1s);
        auto placed = place_mark(world.context(), {}).mark;
        wait(1s);
        return placed;
    }
    Moment at(base::Time time) { return find_moment(world.context(), world.view(), time); }

    World world;
};

// rule 40
TEST_F(MomentTest, KeepsWhatWasCommittedUpToItAndNothingLater)
{
    auto first = mark();
    wait(10s);
    world.server(0).commit("kept");
    auto kept = now();
    wait(10s);
    auto between = now();
    wait(10s);
    world.server(0).commit("dropped");
    auto dropped = now();
    world.server(1).commit("dropped");
    wait(10s);
    auto second = mark();

    auto moment = at(between);
    EXPECT_EQ(moment.after, repo::mark_id(first.number()));
    EXPECT_EQ(moment.before, repo::mark_id(second.number()));
    ASSERT_EQ(moment.members.size(), 2U);
    EXPECT_EQ(moment.members[0].last_kept->at, kept);
    EXPECT_EQ(moment.members[0].first_dropped->at, dropped);
    EXPECT_EQ(moment.mark.members[0].cut.offset, moment.members[0].first_dropped->start);
    EXPECT_FALSE(moment.members[1].last_kept.has_value());
    EXPECT_TRUE(moment.mark.is_moment());
    // Equal times count as "not later".
    EXPECT_EQ(at(kept).mark.members[0].cut, moment.mark.members[0].cut);
}

// Prepared at both, committed at one side before the moment and at the other side after it.
TEST_F(MomentTest, SettlesWhatSpansIt)
{
    mark();
    for (int i : {0, 1})
        world.server(static_cast<std::size_t>(i)).prepare("span");
    wait(1s);
    world.server(0).finish("span", true);
    wait(1s);
    auto moment_time = now();
    wait(1s);
    world.server(1).finish("span", true);
    mark();
    auto moment = at(moment_time);
    const auto& doubts = moment.mark.at.in_doubt;
    auto found = std::ranges::find_if(doubts, [](const auto& d) { return d.branch.gid == "span"; });
    ASSERT_NE(found, doubts.end());
    EXPECT_EQ(found->branch.member, "b");
    EXPECT_EQ(found->verdict.decision, model::Decision::commit);
    EXPECT_TRUE(moment.mark.at.torn.empty());
}

// A clock that is behind lets a commit at one side look older than its partner's prepare.
// rule 40: commit times step back
TEST_F(MomentTest, RetreatsWhereClocksDisagree)
{
    mark();
    world.server(0).prepare("late");
    world.server(1).commit("first dropped at b"); // the newest time before the moment
    auto moment_time = now() - 1us;
    world.server(1).prepare("late"); // after b's candidate
    wait(-1s);                       // a's clock: the commit's time lies before the moment
    world.server(0).finish("late", true);
    wait(5s);
    world.server(1).finish("late", true);
    mark();
    auto moment = at(moment_time);
    EXPECT_TRUE(moment.mark.at.torn.empty());
    EXPECT_GT(moment.mark.members[0].retreat_bytes, 0U);
    EXPECT_EQ(moment.members[0].dropped_earlier, 1U);
}

// Whoever restores may have no configuration, or one that says something else by now.
TEST_F(MomentTest, GidsAreReadAsTheMarksReadThem)
{
    for (auto& member : world.group().members)
        member.gid_pattern = "regex:(.*)_[0-9]+";
    mark();
    world.server(0).prepare("late_1");
    world.server(1).commit("first dropped at b");
    auto moment_time = now() - 1us;
    world.server(1).prepare("late_2");
    wait(-1s);
    world.server(0).finish("late_1", true);
    wait(5s);
    world.server(1).finish("late_2", true);
    auto bound = mark();
    for (auto& member : world.group().members)
        member.gid_pattern = "identical";
    auto moment = at(moment_time);
    EXPECT_TRUE(moment.mark.at.torn.empty());
    EXPECT_GT(moment.mark.members[0].retreat_bytes, 0U) << "late_1 is at a, and no late_2 at b";
    ASSERT_EQ(moment.mark.at.in_doubt.empty(), false);
    auto late = std::ranges::find_if(moment.mark.at.in_doubt,
                                     [](const auto& d) { return d.branch.gid == "late_1"; });
    ASSERT_NE(late, moment.mark.at.in_doubt.end());
    EXPECT_EQ(late->verdict.decision, model::Decision::rollback);
    auto audit = audit_mark(world.context(), repo::mark_id(bound.number()));
    EXPECT_TRUE(audit.good()) << audit.differences.front();
    auto recorded = record_moment(world.context(), moment, "mine");
    audit = audit_mark(world.context(), repo::mark_id(recorded.number()));
    EXPECT_TRUE(audit.good()) << audit.differences.front();
    EXPECT_EQ(explain_gid(world.context(), bound.value, "late").size(), 4U);
}

TEST_F(MomentTest, BetweenMarksThatReadGidsInTwoWaysNoneIsReached)
{
    mark();
    wait(5s);
    auto time = now();
    wait(5s);
    world.group().members[1].gid_pattern = "regex:(.*)_[0-9]+";
    auto changed = mark();
    EXPECT_THROW(at(time), base::Error);
    wait(5s);
    auto later = now();
    wait(5s);
    mark();
    EXPECT_NO_THROW(at(later));
    auto windows = restore_windows(world.view());
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_LT(windows[0].to, time);
    EXPECT_GT(windows[1].from, time);
    EXPECT_EQ(windows[1].first, changed.number());
    EXPECT_LE(windows[1].from, later);
    EXPECT_GE(windows[1].to, later);
}

// The log between that mark and the next was written by a clock that the bound never saw.
TEST_F(MomentTest, WhatLiesOverSeveralMarksIsTimedByAllTheirClocks)
{
    mark();
    wait(10s);
    auto time = now();
    for (int later = 0; later < 2; ++later) {
        wait(10s);
        mark();
    }
    auto view = world.view(); // newest first
    auto reading = [](base::Duration offset) {
        return model::ClockReading{.offset = offset, .error = 1ms};
    };
    view.marks[0].value.members[0].clock = reading(0s);
    view.marks[1].value.members[0].clock = reading(-1min); // so not surely after it
    auto moment = find_moment(world.context(), view, time);
    ASSERT_EQ(moment.before, repo::mark_id(view.marks[0].number()));
    EXPECT_EQ(moment.after, repo::mark_id(view.marks[2].number()));
    const auto& clock = moment.mark.members[0].clock;
    ASSERT_TRUE(clock.has_value());
    EXPECT_LE(clock->offset - clock->error, -1min);
    EXPECT_GE(clock->offset + clock->error, 0s);
    view.marks[1].value.members[1].clock.reset();
    EXPECT_FALSE(find_moment(world.context(), view, time).mark.members[1].clock.has_value());
}

// rule 13, 40: the last mark before it stands on the tail that the failover abandoned
TEST_F(MomentTest, BetweenAFailoverAndTheNextMarkItIsReachedFromAnOlderMark)
{
    auto older = mark();
    world.server(0).commit("kept");
    auto kept = now();
    auto fork = world.server(0).insert_position().offset;
    wait(5s);
    auto early = now();
    wait(5s);
    world.server(0).commit("on the tail");
    auto lost = mark();
    world.server(0).promote(fork);
    wait(5s);
    auto time = now();
    wait(5s);
    world.server(0).commit("dropped");
    auto dropped = now();
    auto next = mark();
    auto moment = at(time);
    EXPECT_EQ(moment.after, repo::mark_id(older.number()));
    EXPECT_EQ(moment.before, repo::mark_id(next.number()));
    EXPECT_EQ(moment.members[0].last_kept->at, kept);
    EXPECT_EQ(moment.members[0].first_dropped->at, dropped);
    EXPECT_EQ(at(early).before, repo::mark_id(lost.number()));
    auto windows = restore_windows(world.view());
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_EQ(windows[0].last, next.number());
    EXPECT_GE(windows[0].to, time);
}

// rule 40
TEST_F(MomentTest, AfterTheNewestMarkItCannotBeReached)
{
    mark();
    wait(1min);
    world.server(0).commit();
    try {
        at(now());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::point_not_reachable);
    }
    EXPECT_THROW(at(now() - 24h), base::Error);
}

TEST_F(MomentTest, ARecordedOneIsAMarkThatAuditsAndThatNoMarkGoesOnFrom)
{
    mark();
    world.work();
    wait(5s);
    auto time = now();
    wait(5s);
    world.work();
    auto newest = mark();
    auto recorded = record_moment(world.context(), at(time), "before-the-mistake");
    for (const char* refused : {"before-the-mistake", "--plan", "a b"})
        EXPECT_THROW(record_moment(world.context(), at(time), refused), base::Error) << refused;
    EXPECT_THROW(place_mark(world.context(), {.name = "--plan"}), base::Error);
    auto report = audit_mark(world.context(), "before-the-mistake");
    EXPECT_TRUE(report.differences.empty()) << report.differences.front();
    auto view = world.view();
    EXPECT_TRUE(repo::plan_restore(view, recorded.number()).plan.has_value());
    EXPECT_EQ(repo::newest_restorable(view), newest.number());
    world.work();
    auto next = mark();
    EXPECT_EQ(next.value.previous, repo::mark_id(newest.number()));
    EXPECT_TRUE(audit_mark(world.context(), repo::mark_id(next.number())).differences.empty());
    EXPECT_EQ(repo::Marks(world.storage(), "shop").latest()->number(), next.number());
}

TEST_F(MomentTest, WindowsEndWhereTheLogDoes)
{
    mark();
    wait(1h);
    auto last = mark();
    auto windows = restore_windows(world.view());
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_EQ(windows[0].first, 1U);
    EXPECT_EQ(windows[0].last, last.number());
    world.server(0).noise(300'000);
    world.server(0).lose_slot();
    wait(1h);
    back_up_group(world.context(), {});
    windows = restore_windows(world.view());
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_EQ(windows[0].last, last.number());
    EXPECT_GT(windows[1].from, windows[0].to);
    EXPECT_THROW(at(windows[0].to + 30min), base::Error);
}

TEST_F(MomentTest, LogThatNobodyCouldReadEndsAWindow)
{
    mark();
    wait(1h);
    mark();
    auto view = world.view();
    auto& newest = view.marks.front().value;
    const auto& before = view.marks[1].value.members[0];
    newest.violations.push_back({.kind = model::ViolationKind::log_unread,
                                 .member = "a",
                                 .cut = before.b,
                                 .bound = before.e});
    EXPECT_EQ(restore_windows(view).size(), 1U) << "it lies below";
    newest.violations.back().bound = before.e + 1;
    auto windows = restore_windows(view);
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_EQ(windows[1].first, newest.number);
}

// Whatever the members' clocks said at the marks, a window keeps its word up to its edges.
TEST_F(MomentTest, EveryMomentOfAWindowCanBeReached)
{
    for (int round = 0; round < 5; ++round) {
        mark();
        wait(10s);
        world.server(0).commit("x");
        world.server(1).commit("y");
        wait(10s);
        if (round != 2) continue;
        world.server(0).noise(300'000);
        world.server(0).lose_slot();
        back_up_group(world.context(), {});
    }
    std::mt19937 random(17);
    auto upto = [&](int most) {
        return base::Duration{static_cast<int>(random() % 1'000'000) * most};
    };
    for (int turn = 0; turn < 20; ++turn) {
        auto view = world.view();
        for (auto& mark : view.marks)
            for (auto& member : mark.value.members)
                member.clock = model::ClockReading{.offset = upto(4) - upto(4), .error = upto(1)};
        auto windows = restore_windows(view);
        ASSERT_EQ(windows.size(), 2U);
        for (const auto& window : windows) {
            ASSERT_FALSE(window.empty());
            for (auto time : {window.from, window.from + (window.to - window.from) / 2, window.to})
                EXPECT_NO_THROW(find_moment(world.context(), view, time))
                    << turn << ": " << base::format_time(time) << " of "
                    << base::format_time(window.from) << " to " << base::format_time(window.to);
        }
    }
}

} // namespace
} // namespace tidemark::job
