#include "engine/postgres/checks.h"
#include "engine/postgres/roles.h"
#include "integration/postgres/member.h"

#include "base/fd.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using test::Member;
using testing::HasSubstr;

Check named(const std::vector<Check>& checks, const std::string& name)
{
    const auto it = std::ranges::find(checks, name, &Check::name);
    if (it != checks.end()) return *it;
    ADD_FAILURE() << "no check is called " << name;
    return {};
}

class ChecksTest : public testing::Test {
protected:
    static void SetUpTestSuite() { member_ = std::make_unique<Member>("checks"); }
    static void TearDownTestSuite() { member_.reset(); }
    static Member& member() { return *member_; }
    static Check check(const std::string& name, const std::string& slot = "none")
    {
        return named(member().session(slot)->check(), name);
    }

private:
    static std::unique_ptr<Member> member_;
};
std::unique_ptr<Member> ChecksTest::member_;

TEST_F(ChecksTest, APreparedMemberPassesThem)
{
    auto session = member().session("fine");
    session->create_slot();
    for (const Check& check : session->check()) {
        if (check.name == "fsync") continue; // off in throwaway clusters
        EXPECT_EQ(check.state, CheckState::ok) << check.name << ": " << check.cause;
        EXPECT_EQ(check.fix, "") << check.name;
        EXPECT_NE(check.cause, "") << check.name;
    }
    session->drop_slot();
}

TEST_F(ChecksTest, AMissingSlotFails)
{
    const auto slot = check("slot");
    EXPECT_EQ(slot.state, CheckState::failed);
    EXPECT_THAT(slot.fix, HasSubstr("tidemark init"));
}

TEST_F(ChecksTest, EveryGrantIsNamed)
{
    auto admin = member().admin();
    admin.exec("CREATE ROLE bare LOGIN");
    auto config = member().config();
    config.url += "&user=bare";
    auto session = PostgresSession::connect(config, nullptr);
    const auto before = session->check();
    const int version = admin.server_version();
    for (const auto& function : wanted_functions(version)) {
        const auto found = named(before, "grant_" + function.check);
        EXPECT_EQ(found.state, function.optional ? CheckState::waiting : CheckState::failed);
        EXPECT_THAT(found.fix, HasSubstr("GRANT EXECUTE ON FUNCTION"));
    }
    EXPECT_EQ(named(before, "grant_pg_monitor").fix, "GRANT pg_monitor TO \"bare\";");
    EXPECT_EQ(named(before, "replication").state, CheckState::failed);
    EXPECT_THAT(named(before, "replication").fix, HasSubstr("ALTER ROLE \"bare\" REPLICATION"));
    // Following every fix to the letter mends all of them.
    for (const auto& each : before) {
        const auto at = each.fix.find("GRANT ");
        if (at != std::string::npos) admin.exec(each.fix.substr(at));
    }
    admin.exec("ALTER ROLE \"bare\" REPLICATION");
    for (const auto& each : session->check()) {
        if (each.name.starts_with("grant_") || each.name == "replication") {
            EXPECT_EQ(each.state, CheckState::ok) << each.name;
        }
    }
}

TEST_F(ChecksTest, GrantsHoldInTheDatabaseOfTheUrl)
{
    auto admin = member().admin();
    admin.exec("CREATE DATABASE elsewhere");
    auto config = member().config();
    config.url = member().url("elsewhere");
    auto session = PostgresSession::connect(config, nullptr);
    const auto found = named(session->check(), "grant_pg_create_restore_point");
    EXPECT_EQ(found.state, CheckState::failed);
    EXPECT_THAT(found.fix, HasSubstr("in database elsewhere"));
    auto there = member().admin("elsewhere");
    apply_sql(there, {.version_num = there.server_version(), .dbname = "elsewhere"});
    EXPECT_EQ(named(session->check(), "grant_pg_create_restore_point").state, CheckState::ok);
}

TEST_F(ChecksTest, AnUnboundedSlotIsRefusedWithAProposal)
{
    auto admin = member().admin();
    admin.exec("ALTER SYSTEM SET max_slot_wal_keep_size = -1");
    admin.exec("SELECT pg_reload_conf()");
    admin.exec("SELECT pg_sleep(0.3)");
    const auto before = check("slot_bound", "unbounded");
    EXPECT_EQ(before.state, CheckState::failed);
    EXPECT_THAT(before.fix, HasSubstr("ALTER SYSTEM SET max_slot_wal_keep_size = '"));
    auto session = member().session("unbounded");
    session->create_slot();
    EXPECT_EQ(session->slot().bound_bytes, std::nullopt);
    EXPECT_EQ(session->slot().safe_bytes, std::nullopt);
    EXPECT_EQ(named(session->check(), "slot_bound").state, CheckState::waiting);
    session->drop_slot();
    const auto end = before.fix.find(';');
    admin.exec(before.fix.substr(0, end));
    admin.exec("SELECT pg_reload_conf()");
    admin.exec("SELECT pg_sleep(0.3)");
    EXPECT_EQ(check("slot_bound").state, CheckState::ok);
    admin.exec("ALTER SYSTEM RESET max_slot_wal_keep_size");
    admin.exec("SELECT pg_reload_conf()");
}

TEST_F(ChecksTest, ADataDirectoryOfAnotherClusterIsRefused)
{
    auto config = member().config();
    config.data_dir = member().cluster().data_dir();
    EXPECT_EQ(named(PostgresSession::connect(config, nullptr)->check(), "data_dir").state,
              CheckState::ok);
    const auto other = member().folder().make("other");
    std::filesystem::create_directory(other / "global");
    auto control = base::read_file(*config.data_dir / "global/pg_control", 1U << 20);
    control[3] ^= std::byte{1};
    base::replace_file(other / "global/pg_control", control);
    config.data_dir = other;
    const auto found = named(PostgresSession::connect(config, nullptr)->check(), "data_dir");
    EXPECT_EQ(found.state, CheckState::failed);
    EXPECT_THAT(found.cause, HasSubstr("another cluster"));
    config.data_dir = "/nonexistent";
    EXPECT_EQ(named(PostgresSession::connect(config, nullptr)->check(), "data_dir").state,
              CheckState::failed);
}

TEST(ChecksBadServerTest, SettingsThatStandInTheWayAreNamed)
{
    Member member("bad", {{"wal_level", "minimal"},
                          {"max_wal_senders", "0"},
                          {"max_prepared_transactions", "0"},
                          {"full_page_writes", "off"},
                          {"synchronous_standby_names", "*"}});
    const auto checks = member.session()->check();
    EXPECT_EQ(named(checks, "wal_level").state, CheckState::failed);
    EXPECT_THAT(named(checks, "wal_level").fix, HasSubstr("wal_level = replica"));
    EXPECT_EQ(named(checks, "max_prepared_transactions").state, CheckState::failed);
    EXPECT_EQ(named(checks, "max_wal_senders").state, CheckState::failed);
    EXPECT_EQ(named(checks, "replication").state, CheckState::failed);
    EXPECT_EQ(named(checks, "full_page_writes").state, CheckState::waiting);
    EXPECT_EQ(named(checks, "fsync").state, CheckState::waiting);
    EXPECT_EQ(named(checks, "synchronous_standby").state, CheckState::waiting);
    EXPECT_THAT(named(checks, "synchronous_standby").fix, HasSubstr("ALTER SYSTEM"));
}

} // namespace
} // namespace tidemark::engine::postgres
