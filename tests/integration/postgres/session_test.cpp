#include "engine/postgres/slot.h"
#include "integration/postgres/member.h"

#include "base/error_testing.h"
#include "base/fd.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using base::Code;
using base::error_of;
using test::Member;
using testing::HasSubstr;

/// The cases share one cluster; each uses a slot name of its own.
class SessionTest : public testing::Test {
protected:
    static void SetUpTestSuite() { member_ = std::make_unique<Member>("session"); }
    static void TearDownTestSuite() { member_.reset(); }
    static Member& member() { return *member_; }

private:
    static std::unique_ptr<Member> member_;
};
std::unique_ptr<Member> SessionTest::member_;

std::chrono::steady_clock::time_point soon()
{
    return std::chrono::steady_clock::now() + std::chrono::seconds{20};
}

TEST_F(SessionTest, IdentifiesTheCluster)
{
    const auto identity = member().session()->identify();
    const auto control =
        base::read_file(member().cluster().data_dir() / "global/pg_control", 1U << 20);
    EXPECT_EQ(identity.system_id, std::to_string(base::load_u64(control.data())));
    EXPECT_EQ(identity.version_num / 10000, member().cluster().install().major);
    EXPECT_EQ(identity.log_segment_size, 1U << 20);
    EXPECT_EQ(identity.page_size, 8192U);
    EXPECT_TRUE(identity.page_checksums);
    EXPECT_FALSE(identity.in_recovery);
    EXPECT_EQ(identity.position.epoch, 1U);
    EXPECT_GT(identity.position.offset, 0U);
    EXPECT_EQ(identity.data_directory, member().cluster().data_dir().string());
    EXPECT_EQ(identity.settings.at("max_prepared_transactions"), "200");
    EXPECT_EQ(identity.version.find(' '), std::string::npos);
}

TEST_F(SessionTest, RestorePointsEndAtTheInsertPosition)
{
    auto session = member().session();
    const auto before = session->insert_position();
    const auto point = session->place_restore_point("it's \\ a mark");
    const auto after = session->insert_position();
    EXPECT_EQ(point.end.epoch, 1U);
    EXPECT_GT(point.end.offset, before.offset);
    EXPECT_LE(point.end.offset, after.offset);
    EXPECT_EQ(error_of([&] { session->place_restore_point(std::string(64, 'x')); }).code(),
              Code::usage);
    EXPECT_NO_THROW(session->place_restore_point(std::string(63, 'x')));
}

// rule 9
TEST_F(SessionTest, MakesTheLogDurableUpToAnOffset)
{
    auto session = member().session();
    auto admin = member().admin();
    for (int round = 0; round < 20; ++round) {
        const auto point = session->place_restore_point("flush me");
        session->ensure_flushed(point.end.offset, soon());
        const auto flushed = admin.exec("SELECT pg_current_wal_flush_lsn()").lsn(0, 0);
        EXPECT_GE(flushed.value_or(0), point.end.offset);
    }
    const auto far = session->insert_position().offset + (std::uint64_t{1} << 40);
    const auto error = error_of([&] {
        session->ensure_flushed(far,
                                std::chrono::steady_clock::now() + std::chrono::milliseconds{200});
    });
    EXPECT_TRUE(error.transient());
    EXPECT_THAT(error.message(), HasSubstr("not durable"));
}

TEST_F(SessionTest, FlushesThoughASynchronousStandbyIsMissing)
{
    auto admin = member().admin();
    admin.exec("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    admin.exec("SELECT pg_reload_conf()");
    auto session = member().session();
    const auto point = session->place_restore_point("nobody answers");
    EXPECT_NO_THROW(session->ensure_flushed(point.end.offset, soon()));
    admin.exec("ALTER SYSTEM RESET synchronous_standby_names");
    admin.exec("SELECT pg_reload_conf()");
}

TEST_F(SessionTest, TellsTheTime)
{
    const auto offset = member().session()->clock() - std::chrono::system_clock::now();
    EXPECT_LT(std::chrono::abs(offset), std::chrono::seconds{5});
}

TEST_F(SessionTest, ListsPreparedTransactionsOfAllDatabases)
{
    auto admin = member().admin();
    admin.exec("CREATE DATABASE \"Shop\"");
    auto shop = member().admin("Shop");
    shop.exec("CREATE TABLE public.t (i int)");
    shop.exec("BEGIN; INSERT INTO public.t VALUES (1); PREPARE TRANSACTION 'order ''1'''");
    admin.exec("BEGIN; CREATE TABLE public.two (i int); PREPARE TRANSACTION 'second'");
    const auto prepared = member().session()->prepared();
    ASSERT_EQ(prepared.size(), 2U);
    EXPECT_EQ(prepared[0].gid, "order '1'");
    EXPECT_EQ(prepared[0].database, "Shop");
    EXPECT_EQ(prepared[0].owner, "postgres");
    EXPECT_EQ(prepared[0].owner_oid, 10U);
    EXPECT_EQ(prepared[0].database_oid,
              admin.exec("SELECT oid FROM pg_database WHERE datname = 'Shop'").integer(0, 0));
    EXPECT_NE(prepared[0].xid, 0U);
    EXPECT_EQ(prepared[1].gid, "second");
    EXPECT_LT(std::chrono::abs(prepared[1].prepared - std::chrono::system_clock::now()),
              std::chrono::seconds{60});
    shop.exec("ROLLBACK PREPARED 'order ''1'''");
    admin.exec("ROLLBACK PREPARED 'second'");
}

TEST_F(SessionTest, SlotsComeAndGo)
{
    auto session = member().session("life");
    EXPECT_FALSE(session->slot().exists);
    const auto restart = session->create_slot();
    EXPECT_EQ(restart.epoch, 1U);
    const auto state = session->slot();
    EXPECT_TRUE(state.exists);
    EXPECT_FALSE(state.active);
    EXPECT_FALSE(state.lost);
    EXPECT_EQ(state.restart, restart.offset);
    EXPECT_EQ(state.bound_bytes, std::uint64_t{2} << 30);
    EXPECT_EQ(state.wal_status, "reserved");
    EXPECT_TRUE(state.safe_bytes.has_value());
    EXPECT_EQ(error_of([&] { session->create_slot(); }).code(), Code::member_not_ready);
    session->drop_slot();
    EXPECT_FALSE(session->slot().exists);
    EXPECT_NO_THROW(session->drop_slot());
    EXPECT_EQ(error_of([&] { member().session("Not Legal")->create_slot(); }).code(), Code::usage);
}

TEST(MinimalServer, HasNoSlotsAndSaysWhatCheckSays)
{
    Member minimal("minimal", {{"wal_level", "minimal"}, {"max_wal_senders", "0"}});
    auto session = minimal.session();
    const auto error = error_of([&] { session->create_slot(); });
    EXPECT_EQ(error.code(), Code::member_not_ready) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("wal_level"));
    const auto checks = session->check();
    const auto level = std::ranges::find(checks, "wal_level", &Check::name);
    ASSERT_NE(level, checks.end());
    EXPECT_EQ(error.hint(), level->fix);
}

TEST_F(SessionTest, HistoryBeginsWithTheSecondTimeline)
{
    auto session = member().session();
    EXPECT_EQ(session->history_file(1), std::nullopt);
    EXPECT_EQ(session->history_file(9), std::nullopt);
}

TEST_F(SessionTest, AnEndedSessionIsTransient)
{
    auto session = member().session();
    member().admin().exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE usename = 'tidemark'");
    const auto error = error_of([&] { session->insert_position(); });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    EXPECT_TRUE(error.transient());
    EXPECT_EQ(error_of([&] { session->insert_position(); }).code(), Code::member_unreachable);
}

TEST_F(SessionTest, LacksOfRightsNameTheRole)
{
    auto admin = member().admin();
    admin.exec("CREATE ROLE weak LOGIN REPLICATION");
    auto config = member().config();
    config.url += "&user=weak";
    auto session = PostgresSession::connect(config, nullptr);
    const auto error = error_of([&] { session->place_restore_point("x"); });
    EXPECT_EQ(error.code(), Code::member_not_ready);
    EXPECT_THAT(error.hint(), HasSubstr("--print-sql"));
    EXPECT_THAT(error.hint(), HasSubstr("weak"));
}

} // namespace
} // namespace tidemark::engine::postgres
