#include "job/operator_words.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::AllOf;
using testing::HasSubstr;

model::InDoubt doubt(const std::string& member, const std::string& gid, const std::string& global,
                     model::Decision decision = model::Decision::unknown)
{
    model::InDoubt out;
    out.branch.member = member;
    out.branch.gid = gid;
    out.branch.global_id = global;
    out.verdict.decision = decision;
    out.verdict.evidence = "seen";
    return out;
}

Decision done(const std::string& gid, const std::string& action)
{
    Decision out;
    out.gid = gid;
    out.action = action;
    return out;
}

class OperatorWordsTest : public ::testing::Test {
protected:
    OperatorWordsTest()
    {
        mark_.at.in_doubt = {doubt("a", "u1-a", "u1"), doubt("b", "u1-b", "u1"),
                             doubt("b", "u2", "u2"),
                             doubt("a", "done", "done", model::Decision::commit)};
    }
    void say(const std::string& member, const std::string& gid, bool commit, int line = 1)
    {
        options_.decisions[{member, gid}] = commit;
        options_.decision_lines[{member, gid}] = "d:" + std::to_string(line);
    }
    std::string refusal(const EarlierDecisions& earlier = {})
    {
        try {
            check_words(mark_, options_, earlier);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::usage);
            return std::string(error.what()) + " | " + error.hint();
        }
        return {};
    }

    model::Mark mark_;
    RestoreOptions options_;
};

// rule 5
TEST_F(OperatorWordsTest, OneTransactionHasOneVerdictAtAllItsMembers)
{
    say("a", "u1-a", true, 3);
    EXPECT_EQ(refusal(), "");
    say("b", "u1-b", false, 7);
    say("b", "u2", false, 8);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("d:3: \"a u1-a commit\""),
                                 HasSubstr("d:7: \"b u1-b rollback\""), Not(HasSubstr("d:8"))));
    say("b", "u1-b", true);
    EXPECT_EQ(refusal(), "");
}

TEST_F(OperatorWordsTest, WhatAnEarlierRunDidCounts)
{
    EarlierDecisions earlier;
    earlier["a"] = {done("u1-a", "commit")};
    earlier["b"] = {done("u1-b", "kept")};
    say("b", "u1-b", true);
    EXPECT_EQ(refusal(earlier), "");
    say("b", "u1-b", false, 2);
    EXPECT_THAT(refusal(earlier),
                AllOf(HasSubstr("a u1-a was committed"), HasSubstr("d:2: \"b u1-b rollback\"")));
    options_.decisions.clear();
    say("a", "u1-a", false);
    EXPECT_NE(refusal(earlier), "") << "it cannot be taken back";
}

TEST_F(OperatorWordsTest, EvidenceIsNotOverruledAndStrangersAreNamed)
{
    say("a", "done", true);
    EXPECT_EQ(refusal(), "");
    say("a", "done", false);
    EXPECT_THAT(refusal(), HasSubstr("the evidence says commit: seen"));
    options_.decisions.clear();
    say("c", "u2", true, 9);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("d:9: \"c u2 commit\": nothing of that name"),
                                 HasSubstr("a u1-a, b u1-b, b u2")));
}

TEST_F(OperatorWordsTest, GidsOfNoPatternStandAlone)
{
    for (auto& one : mark_.at.in_doubt)
        if (one.branch.global_id == "u1") one.branch.matched = false;
    say("a", "u1-a", true);
    say("b", "u1-b", false);
    EXPECT_EQ(refusal(), "");
}

TEST_F(OperatorWordsTest, TablesAreEvidenceToo)
{
    TableVerdicts tables;
    model::Verdict verdict;
    verdict.decision = model::Decision::rollback;
    tables.emplace(std::pair{"b", "u2"}, verdict);
    say("b", "u2", false);
    EXPECT_NO_THROW(check_words(options_, tables));
    say("b", "u2", true);
    EXPECT_THROW(check_words(options_, tables), Error);
}

} // namespace
} // namespace tidemark::job
