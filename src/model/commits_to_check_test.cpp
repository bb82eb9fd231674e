#include "model/commits_to_check.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A mark of members d and e with tables, and a with branches; b 400, r 500, e 600.
class CommitsToCheckTest : public testing::Test {
protected:
    CommitsToCheckTest()
    {
        for (const char* name : {"d", "e", "a"}) {
            CutMember member{.b = 400, .r = 500, .r_end = 510, .e = 600};
            member.log.name = name;
            member.log.complete_since = 100;
            input_.members.push_back(std::move(member));
        }
        input_.decision_tables = tables_;
        before_.decision_tables = tables_;
        before_.decided = {carried("of d", {"d"}), carried("of e", {"e"}),
                           carried("of both", {"d", "e"}), carried("of one", {})};
    }

    static LateCommit carried(const std::string& gid, std::vector<std::string> failed_over)
    {
        return {.member = "a",
                .gid = gid,
                .global_id = gid,
                .commit = {1, 300},
                .carried = true,
                .failed_over = std::move(failed_over)};
    }
    std::vector<std::string> still_listed() const
    {
        std::vector<std::string> out;
        for (const auto& commit : carried_commits(input_, &before_).commits)
            out.push_back(commit.gid);
        return out;
    }

    /// "1" to "n" are committed at a behind each other, a millisecond apart, and d was failed over.
    void commit_many(std::uint32_t n)
    {
        for (auto& member : input_.members) {
            member.b += 9'000'000;
            member.r += 9'000'000;
            member.r_end += 9'000'000;
            member.e += 9'000'000;
        }
        auto add = [&](EventKind kind, Offset start, std::uint32_t i) {
            input_.members[2].log.events.push_back(
                {.kind = kind,
                 .epoch = 1,
                 .start = start,
                 .end = start + 10,
                 .xid = i,
                 .gid = kind == EventKind::prepare ? std::to_string(i) : std::string{},
                 .at = time_of(i)});
        };
        for (std::uint32_t i = 1; i <= n; ++i)
            add(EventKind::prepare, 1000 + 10 * i, i);
        for (std::uint32_t i = 1; i <= n; ++i)
            add(EventKind::commit, kFirst + 10 * i, i);
        input_.members[0].log.history = History{2, {{.epoch = 1, .left_at = 200'000}}};
        input_.anchor = {{{"d", 110}, {"e", 110}, {"a", 110}}};
    }
    /// By a's clock.
    static base::Time time_of(std::uint32_t i)
    {
        return base::Time{std::chrono::hours{1000} + std::chrono::milliseconds{i}};
    }
    /// All were committed before the mark began.
    Mark place_behind() const
    {
        const Sweep before{{"d", 8'000'000}, {"e", 8'000'000}, {"a", 8'000'000}};
        Mark mark;
        mark.decision_tables = tables_;
        list_commits(mark, commits_to_check(input_, compute_cut(input_), before, nullptr));
        return mark;
    }
    /// All but that one have their rows.
    static std::size_t contradictions(const Mark& mark, std::uint32_t n, std::uint32_t lost)
    {
        DecisionRows rows{{"d", {}}, {"e", {}}};
        for (std::uint32_t i = 1; i <= n; ++i)
            if (i != lost) rows["d"].insert(std::to_string(i));
        return judge_by_tables(mark, rows).contradictions.size();
    }

    static constexpr Offset kFirst = 1'000'000;
    const std::vector<DecisionTable> tables_ = {{"d", "public.outcome.gid"},
                                                {"e", "public.outcome.gid"}};
    CutInput input_;
    Mark before_;
};

// rule 13: nobody has looked at anything
TEST_F(CommitsToCheckTest, AnotherOrderAndANewTableKeepTheList)
{
    const auto all = still_listed();
    EXPECT_THAT(all, ElementsAre("of d", "of e", "of both", "of one"));
    std::ranges::reverse(input_.decision_tables);
    std::ranges::reverse(input_.members);
    EXPECT_EQ(still_listed(), all);
    input_.decision_tables.push_back({"f", "none"});
    EXPECT_EQ(still_listed(), all);
    input_.decision_tables.push_back({"g", "public.outcome.gid"});
    EXPECT_EQ(still_listed(), all);
}

TEST_F(CommitsToCheckTest, AnotherWordAboutOneTableDropsWhatConcernsItAlone)
{
    before_.decided_left_out = 7;
    input_.decision_tables[0].table = "none"; // of d
    EXPECT_THAT(still_listed(), ElementsAre("of e", "of both", "of one"));
    auto found = carried_commits(input_, &before_);
    EXPECT_EQ(found.left_out, 7U);
    Mark next;
    next.decision_tables = input_.decision_tables;
    list_commits(next, found);
    // Set back, it is not asked for d's sake any more; nor for e's when that is looked at, too.
    before_ = next;
    input_.decision_tables = tables_;
    EXPECT_THAT(still_listed(), ElementsAre("of e", "of both", "of one"));
    before_.decision_tables = tables_;
    input_.decision_tables.pop_back();
    EXPECT_THAT(still_listed(), IsEmpty());
    EXPECT_EQ(carried_commits(input_, &before_).left_out, 0U);
}

// rule 13: while rows stay, one that is missing is lost, whichever mark is restored
TEST_F(CommitsToCheckTest, WhatWasFoundLongAgoMayHaveBeenTidied)
{
    const base::Time found{std::chrono::hours{1000}};
    before_.created = found;
    auto place = [&](base::Duration later) {
        input_.created = found + later;
        Mark mark;
        mark.created = input_.created;
        mark.decision_tables = tables_;
        list_commits(mark, carried_commits(input_, &before_));
        before_ = std::move(mark);
        EXPECT_EQ(before_.decided.size(), 4U);
        for (const auto& commit : before_.decided)
            EXPECT_EQ(commit.found, found);
        auto judgement = judge_by_tables(before_, {{"d", {}}, {"e", {}}});
        EXPECT_EQ(judgement.contradictions.size() + judgement.doubts.size(), 4U);
        EXPECT_EQ(judgement.undecided.size(), judgement.contradictions.size());
        return judgement.contradictions.size();
    };
    EXPECT_EQ(place(std::chrono::minutes{1}), 4U);
    EXPECT_EQ(place(std::chrono::minutes{50}), 4U);
    EXPECT_EQ(place(kRowsStay), 4U);
    EXPECT_EQ(place(kRowsStay + std::chrono::seconds{1}), 0U);
    EXPECT_EQ(place(std::chrono::minutes{2}), 0U) << "a clock that was set back";
}

// rule 13: users are told to keep a row for an hour after its transaction, whenever a mark finds it
TEST_F(CommitsToCheckTest, TheHourOfARowBeginsWithItsCommit)
{
    const auto minutes = [](int n) { return base::Time{std::chrono::minutes{n}}; };
    before_ = {};
    before_.decision_tables = tables_;
    before_.created = minutes(10'000);
    for (const char* name : {"d", "e", "a"})
        before_.table.members[name] = {.epoch = 1, .b = 150, .r = 160, .e = 170};
    auto& a = input_.members[2];
    a.log.events = {{.kind = EventKind::prepare,
                     .epoch = 1,
                     .start = 200,
                     .end = 210,
                     .xid = 1,
                     .gid = "g",
                     .at = minutes(10'010)},
                    {.kind = EventKind::commit,
                     .epoch = 1,
                     .start = 300,
                     .end = 310,
                     .xid = 1,
                     .gid = {},
                     .at = {}}};
    input_.members[0].log.history = History{2, {{.epoch = 1, .left_at = 350}}}; // of d
    input_.previous = &before_.table;
    input_.created = minutes(10'060);
    const auto cut = compute_cut(input_);
    const Sweep since{{"d", 390}, {"e", 390}, {"a", 390}};
    /// When it was, as the finding mark says, and how many contradict `later`.
    auto found_at = [&](base::Time at, std::optional<ClockReading> clock, const Mark* previous) {
        a.log.events[1].at = at;
        a.log.clock = clock;
        Mark mark;
        mark.created = input_.created;
        mark.decision_tables = tables_;
        list_commits(mark, commits_to_check(input_, cut, since, previous));
        EXPECT_EQ(mark.decided.size(), 1U);
        EXPECT_FALSE(mark.decided.at(0).inherited) << "this mark found it itself";
        EXPECT_EQ(judge_by_tables(mark, {{"d", {}}, {"e", {}}}).contradictions.size(), 1U);
        return mark;
    };
    const ClockReading ahead{.offset = std::chrono::minutes{5}, .error = std::chrono::minutes{1}};
    auto mark = found_at(minutes(10'046), ahead, &before_); // twenty minutes before
    EXPECT_EQ(mark.decided[0].found, minutes(10'040));
    auto place = [&](int later) {
        auto next = input_;
        next.created = mark.created + std::chrono::minutes{later};
        Mark out;
        out.decision_tables = tables_;
        list_commits(out, carried_commits(next, &mark));
        EXPECT_EQ(out.decided.size(), 1U);
        return judge_by_tables(out, {{"d", {}}, {"e", {}}});
    };
    EXPECT_EQ(place(40).contradictions.size(), 1U);
    EXPECT_TRUE(place(50).contradictions.empty());
    EXPECT_EQ(place(50).doubts.size(), 1U);
    // Not before the mark before, nor behind the one that found it, whatever a clock says.
    EXPECT_EQ(found_at(minutes(1), ahead, &before_).decided[0].found, minutes(10'000));
    EXPECT_EQ(found_at(minutes(20'000), ahead, &before_).decided[0].found, minutes(10'060));
    // Where nothing tells, it came with or behind the mark before.
    EXPECT_EQ(found_at(minutes(10'046), {}, &before_).decided[0].found, minutes(10'000));
    EXPECT_EQ(found_at({}, ahead, &before_).decided[0].found, minutes(10'000));
    EXPECT_EQ(found_at({}, ahead, nullptr).decided[0].found, minutes(10'060));
}

// rule 13: each has a time of its own by now, and no clock shall mix what the list has put in order
TEST_F(CommitsToCheckTest, WhatIsCarriedKeepsTheOrderInWhichItWasFound)
{
    before_.decided.clear();
    for (std::size_t i = 0; i < kMostCarried + 1; ++i) {
        before_.decided.push_back(carried(std::to_string(i), {"d"}));
        before_.decided.back().found = base::Time{std::chrono::seconds{i}};
    }
    auto next = carried_commits(input_, &before_);
    ASSERT_EQ(next.commits.size(), kMostCarried);
    EXPECT_EQ(next.left_out, 1U);
    EXPECT_EQ(next.commits.front().gid, "0");
    EXPECT_EQ(next.commits.back().gid, std::to_string(kMostCarried - 1));
    // Older programs listed last what they found themselves, and said no time of it.
    before_.decided.back().found.reset();
    before_.created = base::Time{std::chrono::hours{1000}};
    next = carried_commits(input_, &before_);
    EXPECT_EQ(next.commits.front().gid, std::to_string(kMostCarried));
}

// rule 13: what the tail decided lies around the switch, and all that came since has its row
TEST_F(CommitsToCheckTest, TheCommitAtTheSwitchIsAskedForWhateverCameSince)
{
    constexpr std::uint32_t kAll = kMostCarried + 101;
    commit_many(kAll);
    auto mark = place_behind();
    EXPECT_EQ(mark.decided.size(), kMostCarried);
    EXPECT_EQ(mark.decided_left_out, 101U);
    EXPECT_EQ(contradictions(mark, kAll, 1), 1U);
}

/// Nor is it lost among those that were committed between the mark before and the switch.
TEST_F(CommitsToCheckTest, ClocksTellWhereTheSwitchIs)
{
    constexpr std::uint32_t kBefore = kMostCarried + 100, kSince = kMostCarried / 2;
    constexpr std::uint32_t kAll = kBefore + kSince;
    commit_many(kAll);
    // a's clock is an hour ahead.
    input_.members[2].log.clock = ClockReading{.offset = std::chrono::hours{1}, .error = {}};
    input_.members[0].kept_until =
        time_of(kBefore) + std::chrono::microseconds{500} - std::chrono::hours{1};
    auto mark = place_behind();
    EXPECT_EQ(mark.decided.size(), kMostCarried);
    EXPECT_EQ(mark.decided_left_out, kAll - kMostCarried);
    EXPECT_EQ(mark.decided.front().gid, std::to_string(kBefore + 1)) << "the first behind it";
    EXPECT_EQ(contradictions(mark, kAll, kBefore + 1), 1U);
    auto lowest = std::ranges::min(mark.decided, {},
                                   [](const LateCommit& commit) { return commit.commit.offset; });
    EXPECT_EQ(lowest.gid, std::to_string(kAll - kMostCarried + 1)) << "the last before it";
    // Later marks drop the same end.
    auto more = mark;
    more.decided.push_back(carried("old", {"d"}));
    more.decided.back().found = more.created - kRowsStay;
    more.decided_left_out = 0;
    auto next = carried_commits(input_, &more);
    EXPECT_EQ(next.left_out, 1U);
    EXPECT_EQ(next.commits.front().gid, std::to_string(kBefore + 1));
    EXPECT_EQ(std::ranges::count(next.commits, "old", &LateCommit::gid), 0);
}

} // namespace
} // namespace tidemark::model
