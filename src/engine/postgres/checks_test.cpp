#include "engine/postgres/checks.h"

#include "base/host.h"
#include "base/temp_dir.h"
#include "engine/postgres/roles.h"
#include "engine/postgres/setting_checks.h"
#include "engine/postgres/slot_bound.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using namespace std::chrono_literals;

TEST(Checks, ClocksAreJudgedByWhatIsSure)
{
    EXPECT_EQ(check_clock(900ms, 2ms).state, CheckState::ok);
    EXPECT_EQ(check_clock(-1500ms, 2ms).state, CheckState::waiting);
    EXPECT_EQ(check_clock(1500ms, 2s).state, CheckState::ok);
    EXPECT_NE(check_clock(-5s, 1ms).cause.find("behind"), std::string::npos);
}

TEST(Checks, OldPreparedTransactionsAreListed)
{
    const base::Time now{100h};
    PreparedBranch branch{.xid = 7,
                          .gid = "order '1'",
                          .prepared = now - 9min,
                          .owner = "app",
                          .database = "shop",
                          .owner_oid = 1,
                          .database_oid = 2};
    EXPECT_EQ(check_orphans({branch}, now).state, CheckState::ok);
    branch.prepared = now - 3h;
    const Check old = check_orphans({branch}, now);
    EXPECT_EQ(old.state, CheckState::waiting);
    for (const char* part : {"order ''1''", "3 h", "app", "shop"})
        EXPECT_NE(old.cause.find(part), std::string::npos) << old.cause;
    EXPECT_NE(old.fix.find("ROLLBACK PREPARED 'order ''1'''"), std::string::npos) << old.fix;
    EXPECT_NE(check_orphans({branch, branch, branch, branch, branch}, now).cause.find("2 more"),
              std::string::npos);
}

TEST(Checks, ConfigurationThatNoBackupHoldsIsNamed)
{
    EXPECT_EQ(check_configuration({}, "tidemark").state, CheckState::ok);
    const CapturedFile key{"/etc/ssl/key.pem", "tls", {}};
    EXPECT_EQ(check_configuration({key, {"/etc/a.conf", "config", ""}}, "tidemark").state,
              CheckState::ok);
    const Check missing = check_configuration({key, {"/etc/pg_hba.conf", "hba", {}}}, "ti\"de");
    EXPECT_EQ(missing.name, "configuration_files");
    EXPECT_EQ(missing.state, CheckState::waiting);
    EXPECT_NE(missing.cause.find("/etc/pg_hba.conf"), std::string::npos) << missing.cause;
    EXPECT_EQ(missing.cause.find("key.pem"), std::string::npos) << missing.cause;
    // The statement comes last, to be taken as it stands.
    EXPECT_TRUE(missing.fix.ends_with(": GRANT pg_read_server_files TO \"ti\"\"de\";"))
        << missing.fix;
}

// rule 15: what we confirm is durable with us, and the server takes it like a standby's word.
TEST(Checks, OurReceiverIsNoSynchronousStandby)
{
    for (const char* fine : {"", "s0", "FIRST 2 (s0, \"s*\")", "ANY 1 (tidemark2,s0)"})
        EXPECT_EQ(check_synchronous(fine, {"s0"}).state, CheckState::ok) << fine;
    struct Case {
        const char* setting;
        std::vector<std::string> standbys;
        const char* mended;
    };
    for (const auto& [setting, standbys, mended] :
         std::vector<Case>{{"*", {"s0", "tidemark"}, "'\"s0\"'"},
                           {"ANY 1 (*)", {"s0", "s1"}, "'ANY 1 (\"s0\", \"s1\")'"},
                           {"first 1 (\"s0\", *)", {"s0", "s1"}, "'first 1 (\"s0\", \"s1\")'"},
                           {"2(s0,TideMark,\"o\"\"k\")", {}, "'2(\"s0\", \"o\"\"k\")'"},
                           {"*", {}, "'STANDBY, ...'"}}) {
        const Check check = check_synchronous(setting, standbys);
        EXPECT_EQ(check.state, CheckState::waiting) << setting;
        const std::string statement = std::string("ALTER SYSTEM SET synchronous_standby_names = ") +
                                      mended + "; SELECT pg_reload_conf();";
        EXPECT_TRUE(check.fix.ends_with(statement)) << check.fix;
    }
}

TEST(SlotBoundTest, LeavesHalfOfTheFreeDisk)
{
    constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
    EXPECT_EQ(propose_slot_bound(100 * kGiB, 0).bytes, 50 * kGiB);
    EXPECT_EQ(propose_slot_bound(100 * kGiB, 0).statement(),
              "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();");
    EXPECT_EQ(propose_slot_bound(kGiB, 0).statement(),
              "ALTER SYSTEM SET max_slot_wal_keep_size = '512MB'; SELECT pg_reload_conf();");
    EXPECT_EQ(propose_slot_bound(std::nullopt, kGiB / 2).bytes, 4 * kGiB);
    EXPECT_EQ(propose_slot_bound(std::nullopt, 10 * kGiB).bytes, 40 * kGiB);
    EXPECT_GT(propose_slot_bound(std::uint64_t{0}, 0).bytes, 0U);
}

TEST(SlotBoundTest, MembersOnOneDiskShareIt)
{
    constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
    EXPECT_EQ(propose_slot_bound(78 * kGiB, 0, 2).bytes, 19 * kGiB);
    EXPECT_NE(propose_slot_bound(78 * kGiB, 0, 2).why.find("for 2 members"), std::string::npos);
    EXPECT_EQ(propose_slot_bound(78 * kGiB, 0, 1).why.find("members"), std::string::npos);
    EXPECT_EQ(propose_slot_bound(std::nullopt, 0, 3).bytes, 4 * kGiB) << "not by the disk at all";

    base::TempDir dir;
    const std::string socket = "postgresql:///postgres?host=/run/postgresql";
    auto cluster = [&](const char* name) {
        std::filesystem::create_directories(dir.path() / name / "pg_wal");
        return dir.path() / name;
    };
    MemberConfig member{.name = "a", .url = socket, .data_dir = cluster("a"), .slot = "s"};
    EXPECT_EQ(members_on_disk(member), 1U);
    member.neighbours = {{socket, cluster("b")}, {"postgresql://other/x", cluster("c")}};
    EXPECT_EQ(members_on_disk(member), 3U);
    // On another device, on another host; and one of which only the host is known.
    member.neighbours = {
        {socket, "/proc"}, {"postgresql://other/x", {}}, {"postgresql://localhost/x", {}}};
    EXPECT_EQ(members_on_disk(member), 2U);
    member.neighbours = {{"postgresql://127.0.1.1/x", {}}, {"host=" + base::host_name(), {}}};
    EXPECT_EQ(members_on_disk(member), 3U) << "this host by other names";
    member.url = "postgresql://Db1/x";
    member.data_dir.reset();
    member.neighbours = {{"postgresql://Db1:5433/x", {}}, {"postgresql://db2/x", {}}};
    EXPECT_EQ(members_on_disk(member), 2U);
}

TEST(Roles, ScriptsFollowTheVersion)
{
    const std::string old = print_sql({.version_num = 140010, .role = "t\"m", .dbname = "a b"});
    EXPECT_NE(old.find("\\connect \"a b\"\n"), std::string::npos) << old;
    EXPECT_NE(old.find("pg_start_backup(text, boolean, boolean) TO \"t\"\"m\";"), std::string::npos)
        << old;
    EXPECT_EQ(old.find("pg_checkpoint"), std::string::npos);
    const std::string now = print_sql({.version_num = 150020});
    EXPECT_NE(now.find("pg_backup_start(text, boolean) TO \"tidemark\";"), std::string::npos);
    EXPECT_NE(now.find("GRANT pg_checkpoint TO \"tidemark\";"), std::string::npos);
    EXPECT_EQ(now.find("SUPERUSER"), std::string::npos);
}

} // namespace
} // namespace tidemark::engine::postgres
