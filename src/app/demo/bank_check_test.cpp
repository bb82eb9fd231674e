#include "app/demo/bank_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1000s};

/// Two members, one transfer of 5 from "a" to "b" that was acknowledged two seconds after kStart.
class BankCheckTest : public testing::Test {
protected:
    BankVerdict judge() const
    {
        return judge_books(options, {a, b}, transfers, MarkWindow{first_sent, last_returned});
    }

    BankOptions options{.members = {{"a", ""}, {"b", ""}}};
    std::int64_t opening = bank_total(options) / 2;
    BankBooks a{.member = "a", .balance = opening - 5, .opening = opening, .rows = {{1, 2, -5}}};
    BankBooks b{.member = "b", .balance = opening + 5, .opening = opening, .rows = {{1, 2, 5}}};
    std::vector<Transfer> transfers{{.id = 1,
                                     .gid = "g1",
                                     .participants = 2,
                                     .begun = kStart,
                                     .finished = kStart + 2s,
                                     .outcome = Outcome::committed}};
    Instant first_sent = kStart + 10s;
    Instant last_returned = kStart + 11s;
};

TEST_F(BankCheckTest, HonestBooksAreClean)
{
    auto verdict = judge();
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_EQ(verdict.present, 1U);
    EXPECT_EQ(verdict.balance.at("a"), opening - 5);
}

TEST_F(BankCheckTest, HalfATransferIsTornAndMoneyIsGone)
{
    b.rows.clear();
    b.balance = opening;
    auto verdict = judge();
    EXPECT_EQ(verdict.torn, 1U);
    EXPECT_EQ(verdict.missing, 1U);
    EXPECT_FALSE(verdict.money_conserved());
    EXPECT_FALSE(verdict.clean());
}

TEST_F(BankCheckTest, AMissingHalfThatIsStillPreparedIsToldApart)
{
    b.rows.clear();
    b.balance = opening;
    b.in_doubt = {"g1"};
    auto verdict = judge();
    EXPECT_EQ(verdict.torn, 0U);
    EXPECT_EQ(verdict.torn_in_doubt, 1U);
    EXPECT_EQ(verdict.in_doubt, 1U);
    EXPECT_FALSE(verdict.clean());
}

TEST_F(BankCheckTest, BranchSuffixesLeadToTheGlobalId)
{
    options.two_databases = true;
    b.rows.clear();
    b.in_doubt = {"g1.1"};
    EXPECT_EQ(judge().torn_in_doubt, 1U);
    EXPECT_EQ(bank_gid_pattern(options), "regex:^(.*)\\.[0-9]+$");
}

TEST_F(BankCheckTest, AWhollyAbsentTransferIsMissingOnlyIfAcknowledgedBeforeTheMark)
{
    a.rows.clear();
    b.rows.clear();
    a.balance = b.balance = opening;
    EXPECT_EQ(judge().missing, 1U);
    first_sent = kStart + 2s;
    EXPECT_TRUE(judge().clean());
    first_sent = kStart + 10s;
    transfers[0].outcome = Outcome::unknown;
    EXPECT_TRUE(judge().clean());
}

TEST_F(BankCheckTest, WhatBeganAfterTheMarkMustNotBeThere)
{
    last_returned = kStart - 1s;
    first_sent = kStart - 2s;
    EXPECT_EQ(judge().too_new, 1U);
    EXPECT_FALSE(judge().clean());
}

TEST_F(BankCheckTest, RolledBackTransfersStayDead)
{
    transfers[0].outcome = Outcome::rolled_back;
    EXPECT_EQ(judge().undead, 1U);
    EXPECT_FALSE(judge().clean());
}

TEST_F(BankCheckTest, ForeignOrChangedRowsAreStrangers)
{
    a.rows.push_back({99, 2, 0});
    EXPECT_EQ(judge().strangers, 1U);
    a.rows.back() = {1, 2, 0}; // a third row of two
    EXPECT_EQ(judge().strangers, 1U);
    EXPECT_FALSE(judge().clean());
}

TEST_F(BankCheckTest, BalancesMustFollowFromTheRows)
{
    a.balance -= 3;
    b.balance += 3;
    auto verdict = judge();
    EXPECT_TRUE(verdict.money_conserved());
    EXPECT_EQ(verdict.unbalanced, 2U);
    EXPECT_FALSE(verdict.clean());
    EXPECT_THAT(verdict.describe(), testing::HasSubstr("unbalanced 2"));
}

TEST(WitnessTest, RemembersWhatHappened)
{
    Witness witness;
    auto id = witness.begin("g", 2);
    witness.finish(id, Outcome::unknown);
    witness.finish(id, Outcome::committed);
    auto transfers = witness.transfers();
    ASSERT_EQ(transfers.size(), 1U);
    EXPECT_EQ(transfers[0].id, 1U);
    EXPECT_EQ(transfers[0].outcome, Outcome::committed);
    EXPECT_LE(transfers[0].begun, transfers[0].finished);
}

TEST(WitnessDeathTest, WhatIsCertainNeverChanges)
{
    Witness witness;
    auto id = witness.begin("g", 2);
    witness.finish(id, Outcome::committed);
    EXPECT_DEATH(witness.finish(id, Outcome::rolled_back), "outcome");
}

} // namespace
} // namespace tidemark::app
