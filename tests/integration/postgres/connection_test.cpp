#include "engine/postgres/pq.h"
#include "integration/postgres/fake_server.h"
#include "integration/postgres/member.h"

#include "base/error_testing.h"
#include "base/fd.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

using base::Code;
using base::Error;
using base::error_of;
using std::chrono::steady_clock;
using test::FakePostgres;
using test::Member;
using testing::HasSubstr;
using testing::Not;

class ConnectionTest : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        member_ =
            std::make_unique<Member>("connection", std::map<std::string, std::string>{}, true);
        member_->admin().exec("ALTER ROLE tidemark PASSWORD 'right-canary'");
    }
    static void TearDownTestSuite() { member_.reset(); }
    static Member& member() { return *member_; }
    static std::string tcp(const std::string& user, const std::string& password,
                           const std::string& database = "postgres")
    {
        return fmt::format("postgresql://{}:{}@127.0.0.1:{}/{}", user, password,
                           member().cluster().port(), database);
    }

private:
    static std::unique_ptr<Member> member_;
};
std::unique_ptr<Member> ConnectionTest::member_;

std::string all_of(const Error& error)
{
    return std::string(error.what()) + error.hint();
}

// rule 16
TEST_F(ConnectionTest, SessionsAreOurs)
{
    auto admin = member().admin();
    admin.exec("ALTER ROLE tidemark SET statement_timeout = '1ms'");
    std::vector<std::string> timeouts{"lock_timeout", "idle_in_transaction_session_timeout"};
    if (admin.server_version() >= 140000) timeouts.emplace_back("idle_session_timeout");
    if (admin.server_version() >= 170000) timeouts.emplace_back("transaction_timeout");
    for (const auto& name : timeouts)
        admin.exec(fmt::format("ALTER ROLE tidemark SET {} = '10s'", name));
    admin.exec("ALTER ROLE tidemark SET search_path = public");
    admin.exec("ALTER ROLE tidemark SET synchronous_commit = off");
    auto sql = Connection::open(member().url() + "&options=-c%20lock_timeout%3D5");
    admin.exec("ALTER ROLE tidemark RESET ALL");
    for (const auto& [name, value] :
         std::map<std::string, std::string>{{"statement_timeout", "0"},
                                            {"search_path", ""},
                                            {"synchronous_commit", "local"},
                                            {"default_transaction_isolation", "read committed"},
                                            {"application_name", "tidemark"},
                                            {"client_encoding", "UTF8"}})
        EXPECT_EQ(sql.exec_params("SELECT current_setting($1)", {name}).get(0, 0), value) << name;
    for (const auto& name : timeouts)
        EXPECT_EQ(sql.exec("SHOW " + name).get(0, 0), "0") << name;
}

TEST_F(ConnectionTest, ValuesArriveAsTheyAre)
{
    auto sql = member().admin();
    const auto row = sql.exec_params("SELECT $1::text, NULL, 42, true, '16/B374D848'::pg_lsn",
                                     {"it's \\ \"odd\""});
    EXPECT_EQ(row.text(0, 0), "it's \\ \"odd\"");
    EXPECT_EQ(row.text(0, 1), std::nullopt);
    EXPECT_EQ(row.integer(0, 2), 42);
    EXPECT_EQ(row.boolean(0, 3), true);
    EXPECT_EQ(row.lsn(0, 4), 0x16B374D848U);
    EXPECT_THROW((void)row.get(1, 0), Error);
    EXPECT_THROW((void)row.integer(0, 0), Error);
    EXPECT_THROW((void)row.column("none"), Error);
    const auto bytes = sql.exec_binary("SELECT '\\x00ff10'::bytea", {});
    EXPECT_EQ(base::to_hex(bytes.bytes(0, 0)), "00ff10");
    const std::string odd = "a'b\\c\"d";
    EXPECT_EQ(sql.exec("SELECT " + Connection::literal(odd) + " AS " + Connection::identifier(odd))
                  .get(0, odd),
              odd);
}

TEST_F(ConnectionTest, StatementErrorsLeaveItUsable)
{
    auto sql = member().admin();
    try {
        sql.exec("SELECT 1/0");
        FAIL() << "divided";
    } catch (const SqlError& error) {
        EXPECT_EQ(error.sqlstate(), "22012");
        EXPECT_EQ(error.code(), Code::failed);
    }
    EXPECT_EQ(sql.exec("SELECT 1; SELECT 2").get(0, 0), "2");
}

TEST_F(ConnectionTest, WrongPasswordsAreNamedAndNotShown)
{
    EXPECT_NO_THROW(Connection::open(tcp("tidemark", "right-canary")));
    const auto error = error_of([&] { Connection::open(tcp("tidemark", "wrong-canary")); });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    EXPECT_FALSE(error.transient());
    EXPECT_THAT(error.message(), HasSubstr("password authentication failed"));
    EXPECT_THAT(error.hint(), HasSubstr(".pgpass"));
    const auto pass_file = member().folder().path() / "no-passwords";
    base::replace_file(pass_file, {});
    const auto none = error_of([&] {
        Connection::open(fmt::format("host=127.0.0.1 port={} user=tidemark dbname=postgres "
                                     "passfile={}",
                                     member().cluster().port(), pass_file.string()));
    });
    EXPECT_EQ(none.code(), Code::member_unreachable);
    EXPECT_THAT(none.hint(), HasSubstr(".pgpass"));
    for (const std::string& url :
         {tcp("tidemark", "wrong-canary"), tcp("tidemark", "x@canary"), tcp("tidemark", "x/canary"),
          tcp("nobody", "canary"), tcp("tidemark", "right-canary", "absent"),
          std::string("postgresql://u:canary@127.0.0.1:1/x"),
          std::string("host=127.0.0.1 port=canary password=canary"),
          std::string("password=canary oops"), std::string("postgresql://u:canary@h:x:y/db"),
          std::string("postgresql://u:pcanary@[bad/db")}) {
        const auto each = error_of([&] { Connection::open(url); });
        EXPECT_NE(each.code(), Code::ok);
        if (url.find("port=canary") == std::string::npos) {
            EXPECT_THAT(all_of(each), Not(HasSubstr("canary")));
        }
    }
}

TEST_F(ConnectionTest, AMissingHbaEntryIsSpelledOut)
{
    const auto hba = member().cluster().data_dir() / "pg_hba.conf";
    const auto original = base::read_file(hba, 1U << 20);
    const auto install = [&](const std::string& text) {
        base::replace_file(hba, base::as_bytes(text));
        app::give_to_lab_user(hba);
        auto admin = member().admin();
        admin.exec("SELECT pg_reload_conf()");
        admin.exec("SELECT pg_sleep(0.3)"); // until the postmaster has read it
    };
    const std::string rest = "local all all trust\nhost postgres postgres 127.0.0.1/32 trust\n";
    install(rest);
    const auto error =
        error_of([&] { Connection::open(tcp("tidemark", "right-canary"), {.replication = true}); });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    const std::string line = "host replication \"tidemark\" 127.0.0.1/32 scram-sha-256";
    EXPECT_THAT(error.hint(), HasSubstr(line));
    install(rest + line + "\n");
    EXPECT_NO_THROW(Connection::open(tcp("tidemark", "right-canary"), {.replication = true}));
    install(std::string(base::as_text(original)));
}

TEST_F(ConnectionTest, RolesWithoutReplicationAreNotReady)
{
    member().admin().exec("CREATE ROLE plain LOGIN");
    const auto error =
        error_of([&] { Connection::open(member().url() + "&user=plain", {.replication = true}); });
    EXPECT_EQ(error.code(), Code::member_not_ready);
    EXPECT_THAT(error.hint(), HasSubstr("ALTER ROLE \"plain\" REPLICATION"));
}

TEST_F(ConnectionTest, TlsThatIsNotThereIsAClearError)
{
    const auto error =
        error_of([&] { Connection::open(tcp("tidemark", "right-canary") + "?sslmode=require"); });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    EXPECT_THAT(error.hint(), HasSubstr("sslmode"));
}

TEST_F(ConnectionTest, DeadlinesAndStopsEndEveryWait)
{
    auto sql = member().admin();
    const auto begun = steady_clock::now();
    const auto late = error_of(
        [&] { sql.exec("SELECT pg_sleep(30)", Wait::within(std::chrono::milliseconds{200})); });
    EXPECT_EQ(late.code(), Code::member_unreachable);
    EXPECT_TRUE(late.transient());
    EXPECT_TRUE(sql.broken());
    EXPECT_THROW(sql.exec("SELECT 1"), Error);

    auto other = member().admin();
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_EQ(error_of([&] {
                  other.exec("SELECT pg_sleep(30)",
                             Wait::within(std::chrono::seconds{60}, stop.get_token()));
              }).code(),
              Code::cancelled);
    EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds{15});
}

TEST(ConnectionHangTest, ASilentServerDoesNotHangUs)
{
    FakePostgres server(FakePostgres::Play::silence);
    const auto begun = steady_clock::now();
    const auto error = error_of(
        [&] { Connection::open(server.url(), {.timeout = std::chrono::milliseconds{300}}); });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    EXPECT_TRUE(error.transient());
    EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds{10});
    EXPECT_THAT(all_of(error), Not(HasSubstr("canary")));
}

// rule 16
TEST(ConnectionPoolerTest, PoolersAreRefused)
{
    FakePostgres server(FakePostgres::Play::pooler);
    const auto error = error_of([&] { Connection::open(server.url()); });
    EXPECT_EQ(error.code(), Code::member_not_ready);
    EXPECT_THAT(error.message(), HasSubstr("pooler"));
    EXPECT_THAT(error.hint(), HasSubstr("url"));
}

} // namespace
} // namespace tidemark::engine::postgres
