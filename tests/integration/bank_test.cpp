#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "support/lab.h"

#include "engine/postgres/pq.h"

#include <gtest/gtest.h>
#include <thread>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using engine::postgres::Connection;

void wait_for_commits(const Bank& bank, std::uint64_t wanted)
{
    auto deadline = std::chrono::steady_clock::now() + 60s;
    while (bank.stats().committed < wanted) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << bank.stats().last_error;
        std::this_thread::sleep_for(5ms);
    }
}

TEST(BankTest, AShortLoadLeavesCleanBooks)
{
    support::Lab lab{3};
    Witness witness;
    BankOptions options{.members = lab.bank_members(), .subtransaction_share = 0.05};
    create_bank(options);
    Bank bank{options, witness};
    bank.start();
    wait_for_commits(bank, 300);
    bank.pause();
    auto paused = check_bank(options, witness);
    EXPECT_TRUE(paused.clean()) << paused.describe();
    EXPECT_EQ(paused.in_doubt, 0U);
    auto before = bank.stats().committed;
    bank.resume();
    wait_for_commits(bank, before + 50);
    bank.stop();
    auto verdict = check_bank(options, witness);
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_GT(verdict.present, paused.present);
    EXPECT_EQ(bank.stats().errors, 0U) << bank.stats().last_error;
    EXPECT_GT(bank.stats().rolled_back, 0U);
}

TEST(BankTest, CrashedClientsReusedGidsAndTwoBranchesAreSettled)
{
    support::Lab lab{3};
    Witness witness;
    BankOptions options{.members = lab.bank_members(),
                        .crash_share = 0.1,
                        .reuse_gids = true,
                        .two_databases = true};
    create_bank(options);
    Bank bank{options, witness};
    bank.start();
    wait_for_commits(bank, 300);
    bank.stop();
    EXPECT_GT(bank.stats().crashes, 0U);
    auto verdict = check_bank(options, witness);
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_EQ(verdict.in_doubt, 0U);
}

TEST(BankTest, SurvivesAServerThatIsKilled)
{
    support::Lab lab{3};
    Witness witness;
    BankOptions options{.members = lab.bank_members(), .threads = 6};
    create_bank(options);
    Bank bank{options, witness};
    bank.start();
    wait_for_commits(bank, 100);
    for (int round = 0; round < 3; ++round) {
        lab.cluster(static_cast<std::size_t>(round)).kill9();
        lab.cluster(static_cast<std::size_t>(round)).start();
        wait_for_commits(bank, bank.stats().committed + 50);
    }
    bank.stop();
    EXPECT_GT(bank.stats().errors, 0U);
    auto verdict = check_bank(options, witness);
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_EQ(verdict.in_doubt, 0U);
}

TEST(BankTest, OrphansStayPreparedAndAreSeen)
{
    support::Lab lab{2};
    Witness witness;
    BankOptions options{.members = lab.bank_members()};
    create_bank(options);
    leave_orphans(options, witness, 3, false);
    auto verdict = check_bank(options, witness);
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_EQ(verdict.in_doubt, 6U);

    leave_orphans(options, witness, 1, true);
    verdict = check_bank(options, witness);
    EXPECT_EQ(verdict.torn_in_doubt, 1U) << verdict.describe();
    EXPECT_EQ(verdict.torn, 0U);
    EXPECT_FALSE(verdict.money_conserved());

    // The load is not in their way, nor they in its.
    Bank bank{options, witness};
    bank.start();
    wait_for_commits(bank, 50);
    bank.stop();
    EXPECT_EQ(bank.stats().errors, 0U) << bank.stats().last_error;
}

TEST(BankTest, TheCheckSeesWhatIsReallyBroken)
{
    support::Lab lab{2};
    Witness witness;
    BankOptions options{.members = lab.bank_members()};
    create_bank(options);
    Bank bank{options, witness};
    bank.start();
    wait_for_commits(bank, 20);
    bank.stop();
    ASSERT_TRUE(check_bank(options, witness).clean());
    auto connection = Connection::open(lab.cluster(0).url("bank"));
    connection.exec("DELETE FROM public.transfer WHERE id = (SELECT min(id) FROM public.transfer"
                    " WHERE participants > 1)");
    auto verdict = check_bank(options, witness);
    EXPECT_EQ(verdict.torn, 1U) << verdict.describe();
    EXPECT_EQ(verdict.missing, 1U);
    EXPECT_EQ(verdict.unbalanced, 1U);
    EXPECT_FALSE(verdict.clean());
}

} // namespace
} // namespace tidemark::app
