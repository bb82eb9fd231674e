// A slot that does not keep the log any more: said by every job that needs it, healed by a base
// backup; and one that holds more than its bound, and is not lost yet.

#include "cli/shared_group.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

using engine::postgres::Connection;

class SlotTest : public SharedGroupTest {
protected:
    /// log and mark end with 23, say what the slot is and what to do next.
    static void expect_gap(const std::string& state)
    {
        auto said = fmt::format("tidemark: member m0: the replication slot is {}, the server no "
                                "longer keeps log for us\n  next: tidemark backup makes a new slot "
                                "and starts a new chain\n",
                                state);
        for (const char* command : {"log", "mark"}) {
            auto run = lab_->run({command});
            EXPECT_EQ(run.code(), 23) << run.text();
            EXPECT_NE(run.err.find(said), std::string::npos) << run.text();
            EXPECT_TRUE(run.explained()) << run.text();
        }
    }

    /// A backup says what it found, begins a chain, and marks are good again.
    static void expect_healed(const std::string& reason, const std::string& name)
    {
        auto backup = lab_->run({"backup", "--name", name, "--json"});
        EXPECT_EQ(backup.code(), 3) << backup.text(); // a gap is worth a look
        EXPECT_NE((backup.out + backup.err).find(reason), std::string::npos) << backup.text();
        auto status = lab_->run({"status", "--json"});
        EXPECT_EQ(status.json().at("restorable").at("mark").at("name"), name) << status.text();
        auto mark = lab_->run({"mark"});
        EXPECT_EQ(mark.code(), 0) << mark.text();
        auto verify = lab_->run({"verify"});
        EXPECT_EQ(verify.code(), 0) << verify.text();
    }

    /// Writes log until the server gives up what the slot wants kept.
    static bool lose_slot(app::LabCluster& cluster)
    {
        auto sql = Connection::open(cluster.url());
        for (int segment = 0; segment < 40; ++segment) {
            sql.exec("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000))");
            sql.exec("SELECT pg_switch_wal()");
            sql.exec("CHECKPOINT");
            auto state = sql.exec("SELECT wal_status FROM pg_replication_slots "
                                  "WHERE slot_name = 'tidemark_shop'");
            if (state.rows() == 1 && state.text(0, 0) == "lost") return true;
        }
        return false;
    }
};

TEST_F(SlotTest, OneThatWasDroppedIsAGapThatABackupHeals)
{
    auto connection = Connection::open(lab_->lab.cluster(0).url());
    connection.exec("SELECT pg_catalog.pg_drop_replication_slot('tidemark_shop')");
    expect_gap("missing");
    auto status = lab_->run({"status"});
    EXPECT_NE(status.out.find("no slot"), std::string::npos) << status.text();
    expect_healed("the slot was missing", "after-drop");
}

TEST_F(SlotTest, OneThatHeldTooMuchIsAGapThatABackupHeals)
{
    auto& cluster = lab_->lab.cluster(0);
    cluster.configure({{"max_slot_wal_keep_size", "1MB"}});
    cluster.reload();
    ASSERT_TRUE(lose_slot(cluster));
    expect_gap("lost");
    auto status = lab_->run({"status"});
    EXPECT_NE(status.out.find("max_slot_wal_keep_size"), std::string::npos) << status.text();
    cluster.configure({{"max_slot_wal_keep_size", "4GB"}});
    cluster.reload();
    expect_healed("the slot was lost", "after-loss");
}

TEST(HeldLog, AFullBackupStoresItBeforeItsCheckpointCostsTheSlot)
{
    GroupLab lab;
    for (std::size_t i = 0; i < lab.lab.size(); ++i) {
        auto& cluster = lab.lab.cluster(i);
        cluster.configure({{"max_slot_wal_keep_size", "64MB"}});
        cluster.reload();
    }
    auto made = lab.init();
    ASSERT_EQ(made.code(), 0) << made.text();
    auto early = lab.run({"mark"});
    EXPECT_EQ(early.code(), 3) << early.text();
    EXPECT_NE(early.err.find("there is no base backup yet of m0, m1"), std::string::npos)
        << early.text();
    auto first = lab.run({"run"});
    ASSERT_EQ(first.code(), 0) << first.text();
    EXPECT_EQ(lab.run({"mark"}).code(), 0);
    auto sql = Connection::open(lab.lab.cluster(0).url());
    for (int i = 0; i < 6; ++i)
        sql.exec("SELECT pg_catalog.pg_logical_emit_message(false, 'x', repeat('x', 14500000))");
    auto state = sql.exec("SELECT wal_status FROM pg_catalog.pg_replication_slots").text(0, 0);
    ASSERT_EQ(state, "unreserved") << "the next checkpoint invalidates it";
    auto status = lab.run({"status", "--exit-code"});
    EXPECT_EQ(status.code(), 3) << status.text();
    EXPECT_NE(status.out.find("log piles up"), std::string::npos) << status.text();
    auto backup = lab.run({"backup", "--json"});
    EXPECT_EQ(backup.code(), 0) << backup.text();
    EXPECT_EQ(lab.run({"status", "--exit-code"}).code(), 0);
    for (const auto& member : backup.json().at("members"))
        EXPECT_EQ(member.at("new_chain"), false) << backup.text();
    auto windows = lab.run({"list", "windows", "--json"});
    EXPECT_EQ(windows.json().at("windows").size(), 1U) << windows.text();
    EXPECT_EQ(lab.run({"verify"}).code(), 0);
}

} // namespace
} // namespace tidemark::support
