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

} // namespace
} // namespace tidemark::model
