#include "engine/postgres/restore_target.h"

#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/base_backup.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/server_process.h"
#include "support/folder_sink.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using app::LabCluster;
using app::LabFolder;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void write_text(const fs::path& path, const std::string& text, bool append = false)
{
    std::ofstream{path, append ? std::ios::app : std::ios::trunc} << text;
    app::give_to_lab_user(path);
}

/// A base backup taken under load and the log that follows it, with a goal in the midst. Each case
/// restores a copy of its own.
class RestoreTargetTest : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        folder_ = new LabFolder;
        archive_ = folder_->make("archive");
        cluster_ = new LabCluster{
            {.name = "source",
             .folder = folder_->path(),
             .settings = {{"archive_mode", "on"},
                          {"archive_command", fmt::format("cp %p {}/%f", archive_.native())},
                          {"max_prepared_transactions", "20"}},
             .wal_segment_mb = 1}};
        // Servers that are not where the linker looks need their own libraries.
        for (const auto& [name, value] : app::library_path(cluster_->install().bin)) {
            ::setenv(name.c_str(), value.c_str(), 1);
        }
        cluster_->start();
        make_data();
        back_up_under_load();
        make_history();
    }
    static void TearDownTestSuite()
    {
        delete cluster_;
        delete folder_;
    }

    static Connection connect(const std::string& database = "postgres")
    {
        return Connection::open(cluster_->url(database), {.settings = {"search_path=public"}});
    }

    static void make_data()
    {
        auto sql = connect();
        auto space = folder_->make("space");
        sql.exec(fmt::format("CREATE TABLESPACE far LOCATION '{}'", space.native()));
        sql.exec("CREATE TABLE events(id int primary key, note text)");
        sql.exec("CREATE TABLE distant(id int) TABLESPACE far");
        sql.exec("CREATE UNLOGGED TABLE scratch AS SELECT 1 AS id");
        sql.exec("INSERT INTO events SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i");
        sql.exec("CREATE DATABASE closed");
        connect("closed").exec("CREATE TABLE secrets(id int)");
        // One that would drain a publisher's slot, in a database that will accept nobody.
        auto inner = connect("closed");
        inner.exec("CREATE SUBSCRIPTION feed CONNECTION 'host=/nonexistent' PUBLICATION p "
                   "WITH (connect = false, slot_name = 'feed')");
        inner.exec("ALTER SUBSCRIPTION feed ENABLE");
        // Leads to another server from within the data.
        sql.exec("CREATE FOREIGN DATA WRAPPER elsewhere");
        sql.exec("CREATE SERVER billing FOREIGN DATA WRAPPER elsewhere "
                 "OPTIONS (host 'db2', secret 'hunter2secret')");
        // One transaction that is in doubt with so many parts that hot standby could not start.
        std::string statement = "BEGIN;";
        for (int i = 0; i < 100; ++i) {
            statement +=
                fmt::format("SAVEPOINT s{}; INSERT INTO events VALUES ({}, 'part');", i, -100 - i);
        }
        sql.exec(statement + "PREPARE TRANSACTION 'hundred'");
    }

    static void back_up_under_load()
    {
        std::jthread load{[](const std::stop_token& stop) {
            auto sql = connect();
            for (int i = 0; !stop.stop_requested(); ++i) {
                sql.exec(fmt::format("UPDATE events SET note = note || '{}' WHERE id % 97 = {}",
                                     i % 10, i % 97));
                sql.exec(fmt::format("INSERT INTO events VALUES ({}, 'load')", 100000 + i));
                sql.exec("INSERT INTO distant SELECT generate_series(1, 10)");
            }
        }};
        MemberConfig member;
        member.name = "source";
        member.url = cluster_->url();
        member.data_dir = cluster_->data_dir();
        auto source = begin_postgres_backup(member, {.label = "restore test"});
        support::FolderSink sink{folder_->path() / "scratch"};
        end_ = support::take_backup(*source, sink);
        load.request_stop();
        load.join();
        ASSERT_THAT(end_.damaged, IsEmpty());
        auto master = folder_->make("master");
        sink.place(master / "d", master / "ts");
        system_id_ =
            connect().exec("SELECT system_identifier::text FROM pg_control_system()").get(0, 0);
    }

    /// What happens after the backup, with the goal in the middle.
    static void make_history()
    {
        auto sql = connect();
        sql.exec("BEGIN; INSERT INTO events VALUES (-1, 'committed by decision'); "
                 "PREPARE TRANSACTION 'commit-me'");
        sql.exec("BEGIN; INSERT INTO events VALUES (-2, 'rolled back by decision'); "
                 "PREPARE TRANSACTION 'it''s to go'");
        {
            auto inner = connect("closed");
            inner.exec("BEGIN; INSERT INTO secrets VALUES (1); PREPARE TRANSACTION 'inside'");
        }
        sql.exec("ALTER DATABASE closed ALLOW_CONNECTIONS false");
        for (int i = 0; i < 30; ++i) {
            sql.exec("UPDATE events SET note = note || 'y' WHERE id % 20 = 0");
        }
        expected_ =
            sql.exec("SELECT count(*) || ' ' || md5(string_agg(id || note, ',' ORDER BY id)) "
                     "FROM events")
                .get(0, 0);
        goal_ = *sql.exec("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
        sql.exec("SELECT pg_create_restore_point('goal')");
        sql.exec("INSERT INTO events VALUES (-3, 'after the goal')");
        sql.exec("COMMIT PREPARED 'commit-me'");
        sql.exec("ROLLBACK PREPARED 'hundred'");
        sql.exec("UPDATE events SET note = ''");
        auto end = sql.exec("SELECT pg_walfile_name(pg_switch_wal())");
        auto last = archive_ / std::string(end.get(0, 0));
        for (int i = 0; i < 1000 && !fs::exists(last); ++i)
            std::this_thread::sleep_for(20ms);
        ASSERT_TRUE(fs::exists(last));
        cluster_->stop();
    }

    void SetUp() override
    {
        home_ = folder_->make(::testing::UnitTest::GetInstance()->current_test_info()->name());
        data_ = home_ / "d";
        for (const char* part : {"d", "ts"}) {
            auto copied = base::run({"cp", "-a", folder_->path() / "master" / part, home_ / part});
            ASSERT_TRUE(copied.exit.success()) << copied.err;
        }
        config_.member = "source";
        config_.dir = data_;
        config_.work_dir = home_ / "work";
        if (::geteuid() == 0) config_.user = app::lab_user()->name;
        config_.bin_dir = cluster_->install().bin;
        config_.version_num = cluster_->install().major * 10000;
        config_.system_id = system_id_;
        spec_.goal.position = goal_;
        spec_.goal.epoch = 1;
        spec_.restore_command = fmt::format("cp {}/%f \"%p\"", archive_.native());
        spec_.backup_label = end_.backup_label;
        for (const auto& entry : fs::directory_iterator{home_ / "ts"}) {
            spec_.tablespace_map +=
                fmt::format("{} {}\n", entry.path().filename().native(), entry.path().native());
        }
        spec_.superuser = "postgres";
    }
    void TearDown() override { fs::remove_all(home_); }

    std::unique_ptr<RestoreTarget> open() const { return open_postgres_target(config_); }

    std::unique_ptr<RestoreTarget> recovered() const
    {
        auto target = open();
        target->preflight();
        target->prepare(spec_);
        target->recover({}, {});
        return target;
    }

    static std::string ask(const RestoreTarget& target, const std::string& sql)
    {
        auto connection =
            Connection::open(target.private_conninfo(), {.settings = {"search_path=public"}});
        return std::string(connection.exec(sql).get(0, 0));
    }

    /// The restored data is that of the goal, with everything still in doubt.
    static void expect_state_of_goal(const RestoreTarget& target)
    {
        EXPECT_EQ(ask(target, "SELECT count(*) || ' ' || md5(string_agg(id || note, ',' ORDER BY "
                              "id)) FROM events"),
                  expected_);
        EXPECT_EQ(ask(target, "SELECT count(*) FROM pg_prepared_xacts"), "4");
        EXPECT_EQ(ask(target, "SELECT count(*) FROM scratch"), "0");
    }

    ControlFile control() const
    {
        return parse_control_file(base::read_file(data_ / "global/pg_control", 8192));
    }

    /// The packages of versions other than the distribution's hold only the server.
    bool has_program(const std::string& name) const { return fs::exists(*config_.bin_dir / name); }

    base::RunResult run_program(const std::string& name, std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), config_.bin_dir->native() + "/" + name);
        base::ProcessOptions options;
        options.user = app::lab_user();
        options.directory = "/";
        options.environment = app::library_path(*config_.bin_dir);
        options.new_session = true;
        return base::run(arguments, {.process = options, .deadline = base::Duration{120s}});
    }

    /// Runs `body` in a child process that is killed after `after`, together with the server when
    /// `server_too`.
    void kill_in_the_midst(const std::function<void()>& body, base::Duration after,
                           bool server_too) const
    {
        pid_t child = ::fork();
        if (child == 0) {
            try {
                body();
            } catch (const std::exception&) {
            }
            ::_exit(0);
        }
        std::this_thread::sleep_for(after);
        if (server_too) {
            if (auto server = find_running_server(data_, config_.work_dir);
                server && server->pid != 0) {
                ::kill(server->pid, SIGKILL);
            }
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }

    static LabFolder* folder_;
    static LabCluster* cluster_;
    static fs::path archive_;
    static BackupEnd end_;
    static model::Offset goal_;
    static std::string system_id_;
    static std::string expected_;
    fs::path home_;
    fs::path data_;
    TargetConfig config_;
    RecoverySpec spec_;
};

LabFolder* RestoreTargetTest::folder_ = nullptr;
LabCluster* RestoreTargetTest::cluster_ = nullptr;
fs::path RestoreTargetTest::archive_;
BackupEnd RestoreTargetTest::end_;
model::Offset RestoreTargetTest::goal_ = 0;
std::string RestoreTargetTest::system_id_;
std::string RestoreTargetTest::expected_;

// rule 22, 25, 27
TEST_F(RestoreTargetTest, StopsExactlyAtTheGoalThenSettles)
{
    auto target = open();
    target->preflight();
    target->prepare(spec_);
    model::Offset last = 0;
    auto reached = target->recover([&](model::Offset at) { last = at; }, {});
    EXPECT_EQ(reached.position, (model::LogPosition{1, goal_}));
    EXPECT_THAT(reached.evidence, HasSubstr("recovery stopping before WAL location"));
    EXPECT_THAT(reached.evidence, HasSubstr("shut down in recovery"));
    EXPECT_GT(last, 0U);
    EXPECT_LE(last, goal_);
    EXPECT_EQ(control().state, ClusterState::shut_down_in_recovery);
    EXPECT_LE(control().min_recovery.offset, goal_);
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
    // Once there, recovering again costs nothing.
    EXPECT_EQ(open()->recover({}, {}).position, reached.position);

    auto promoted = target->promote({});
    EXPECT_EQ(promoted.epoch, 2U);
    EXPECT_EQ(promoted.offset, goal_);
    expect_state_of_goal(*target);
    EXPECT_EQ(ask(*target, "SHOW data_directory"), data_.native());
    auto branches = target->prepared();
    ASSERT_EQ(branches.size(), 4U);
    for (int pass = 0; pass < 2; ++pass) { // the second one finds everything done
        for (const auto& branch : branches)
            target->settle(branch, branch.gid != "it's to go");
    }
    EXPECT_THAT(target->prepared(), IsEmpty());
    EXPECT_EQ(ask(*target, "SELECT count(*) FROM events WHERE id = -1"), "1");
    EXPECT_EQ(ask(*target, "SELECT count(*) FROM events WHERE id = -2"), "0");
    EXPECT_EQ(ask(*target, "SELECT count(*) FROM events WHERE id <= -100"), "100");
    EXPECT_EQ(ask(*target, "SELECT datallowconn FROM pg_database WHERE datname = 'closed'"), "f");
    EXPECT_THAT(target->warnings(), Contains(HasSubstr("unlogged tables are empty")));
    EXPECT_THAT(target->warnings(),
                Contains(HasSubstr("can write elsewhere: foreign server billing (elsewhere; "
                                   "host=db2)")));
    EXPECT_THAT(target->warnings(), Not(Contains(HasSubstr("hunter2secret"))));

    auto handed = target->hand_over({}, {});
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
    EXPECT_THAT(handed.start_command, HasSubstr("pg_ctl -D"));
    EXPECT_THAT(handed.neutralised, Contains(HasSubstr("archive_command")));
    EXPECT_THAT(handed.neutralised, Contains("subscription closed.feed is disabled"));
    EXPECT_THAT(handed.neutralised, Contains(HasSubstr("replication slots")));
    if (has_program("pg_checksums")) {
        EXPECT_EQ(run_program("pg_checksums", {"--check", "-D", data_}).exit.code, 0);
    }
    auto started = run_program("pg_ctl", {"-D", data_, "-w", "-l", data_ / "server.log", "start"});
    ASSERT_TRUE(started.exit.success()) << started.out << started.err;
    if (has_program("pg_amcheck")) {
        auto amcheck =
            run_program("pg_amcheck", {"-h", data_, "-U", "postgres", "--install-missing",
                                       "--heapallindexed", "-d", "postgres"});
        EXPECT_TRUE(amcheck.exit.success()) << amcheck.out << amcheck.err;
    }
    auto sql =
        Connection::open(fmt::format("host={} user=postgres dbname=postgres", data_.native()));
    EXPECT_EQ(sql.exec("SHOW archive_mode").get(0, 0), "off");
    EXPECT_EQ(sql.exec("SHOW listen_addresses").get(0, 0), "");
    EXPECT_EQ(sql.exec("SELECT subenabled FROM pg_subscription").get(0, 0), "f");
    EXPECT_EQ(sql.exec("SELECT count(*) FROM pg_replication_slots").get(0, 0), "0");
    EXPECT_EQ(sql.exec("SELECT pg_tablespace_location(oid) LIKE '%/ts/%' FROM pg_tablespace WHERE "
                       "spcname = 'far'")
                  .get(0, 0),
              "t");
    EXPECT_TRUE(run_program("pg_ctl", {"-D", data_, "-w", "stop"}).exit.success());
}

// rule 23, 25, 27
TEST_F(RestoreTargetTest, NothingOfTheBackupsConfigurationIsInForce)
{
    auto evil = home_ / "evil";
    write_text(data_ / "postgresql.conf",
               fmt::format("data_directory = '{}'\nhba_file = '{}/pg_hba.conf'\narchive_mode = on\n"
                           "archive_command = 'touch {}'\nshared_preload_libraries = 'nothing'\n"
                           "synchronous_standby_names = 'nobody'\nlisten_addresses = '*'\n",
                           cluster_->data_dir().native(), cluster_->data_dir().native(),
                           evil.native()),
               true);
    write_text(data_ / "postgresql.auto.conf",
               fmt::format("recovery_target_action = 'promote'\nhot_standby = on\n"
                           "archive_command = 'touch {0}'\nrecovery_end_command = 'touch {0}'\n"
                           "archive_cleanup_command = 'touch {0}'\n"
                           "synchronous_standby_names = 'nobody'\n",
                           evil.native()));
    write_text(data_ / "standby.signal", "");
    ::setenv("PGPASSWORD", "hunter2secret", 1);
    auto environment_of = [](pid_t pid) {
        return std::string(
            base::as_text(base::read_file(fmt::format("/proc/{}/environ", pid), 1U << 20)));
    };
    auto target = recovered();
    EXPECT_EQ(control().state, ClusterState::shut_down_in_recovery);
    EXPECT_FALSE(fs::exists(data_ / "standby.signal"));
    target->promote({});
    EXPECT_EQ(ask(*target, "SHOW data_directory"), data_.native());
    EXPECT_EQ(ask(*target, "SHOW synchronous_standby_names"), "");
    auto ours = find_running_server(data_, config_.work_dir);
    ASSERT_TRUE(ours);
    EXPECT_THAT(environment_of(ours->pid), Not(HasSubstr("hunter2secret")));
    expect_state_of_goal(*target);
    auto handed = target->hand_over({.start = true}, {});
    ::unsetenv("PGPASSWORD");
    EXPECT_EQ(handed.socket_dir, data_.native());
    EXPECT_THAT(handed.neutralised, Contains("library nothing is not preloaded"));
    EXPECT_TRUE(fs::exists(data_ / "postgresql.conf.from-backup"));
    EXPECT_TRUE(fs::exists(data_ / "postgresql.auto.conf.from-backup"));
    EXPECT_FALSE(fs::exists(evil));
    target.reset();
    // Handed over running: it outlives us.
    auto running = find_running_server(data_, config_.work_dir);
    ASSERT_TRUE(running);
    EXPECT_FALSE(running->ours);
    EXPECT_THAT(environment_of(running->pid), Not(HasSubstr("hunter2secret")));
    // A foreign server in the target is refused.
    try {
        open()->prepare(spec_);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::target_not_empty) << error.what();
    }
    EXPECT_TRUE(run_program("pg_ctl", {"-D", data_, "-w", "stop"}).exit.success());
    EXPECT_FALSE(fs::exists(evil));
}

// rule 26
TEST_F(RestoreTargetTest, PhaseOneGoesOnAfterKills)
{
    // Slow enough to be caught in the midst.
    auto slow = spec_;
    slow.restore_command = fmt::format("sleep 0.1; cp {}/%f \"%p\"", archive_.native());
    for (auto after : {300ms, 700ms, 1200ms}) {
        for (bool server_too : {true, false}) {
            kill_in_the_midst(
                [&] {
                    auto target = open();
                    target->prepare(slow);
                    target->recover({}, {});
                },
                after, server_too);
        }
    }
    auto target = recovered();
    EXPECT_EQ(control().state, ClusterState::shut_down_in_recovery);
    target->promote({});
    expect_state_of_goal(*target);
}

// rule 26
TEST_F(RestoreTargetTest, PhaseTwoGoesOnAfterKills)
{
    recovered();
    auto aside = home_ / "at-goal";
    ASSERT_TRUE(base::run({"cp", "-a", data_, aside}).exit.success());
    int midway = 0;
    for (int after = 60; after <= 360; after += 60) {
        kill_in_the_midst([&] { open()->promote({}); }, std::chrono::milliseconds{after}, true);
        midway += fs::exists(data_ / "recovery.signal") ? 0 : 1;
        auto target = open();
        auto promoted = target->promote({});
        EXPECT_EQ(promoted.offset, goal_) << after;
        expect_state_of_goal(*target);
        target.reset();
        fs::remove_all(data_);
        ASSERT_TRUE(base::run({"cp", "-a", aside, data_}).exit.success());
    }
    RecordProperty("promotions under way when killed", midway);
}

TEST_F(RestoreTargetTest, APromotionCutShortDoesNotReplayPastTheGoal)
{
    recovered();
    // As if killed after the signal was removed and before the new timeline's first checkpoint.
    fs::remove(data_ / "recovery.signal");
    ASSERT_FALSE(fs::is_empty(data_ / "pg_wal"));
    auto target = open();
    target->prepare(spec_); // what the job does again
    EXPECT_FALSE(fs::exists(data_ / "backup_label"));
    EXPECT_EQ(target->promote({}).offset, goal_);
    expect_state_of_goal(*target);
}

// rule 26
TEST_F(RestoreTargetTest, APromotedServerIsFoundAgain)
{
    recovered()->promote({}); // stopped with its object
    {
        // An earlier run promoted it and died before it could write that down.
        auto target = open();
        target->prepare(spec_);
        EXPECT_EQ(target->promote({}), (model::LogPosition{2, goal_}));
        expect_state_of_goal(*target);
    }
    try {
        auto other = spec_;
        other.goal.position = goal_ - 1000;
        open()->prepare(other);
        FAIL() << "a promoted server was to be recovered again";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::target_not_empty) << error.what();
    }
    {
        auto target = open();
        target->resume({});
        expect_state_of_goal(*target);
    }
    kill_in_the_midst(
        [&] {
            auto target = open();
            target->resume({});
            std::this_thread::sleep_for(60s);
        },
        3s, false);
    auto running = find_running_server(data_, config_.work_dir);
    ASSERT_TRUE(running);
    EXPECT_TRUE(running->ours);
    auto target = open();
    EXPECT_EQ(target->prepared().size(), 4U);
    EXPECT_EQ(find_running_server(data_, config_.work_dir)->pid, running->pid);
    target.reset();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));

    // Handed over running, and then we die before anybody knows.
    open()->hand_over({.start = true}, {});
    EXPECT_FALSE(find_running_server(data_, config_.work_dir)->ours);
    target = open();
    target->resume({});
    EXPECT_TRUE(find_running_server(data_, config_.work_dir)->ours);
    expect_state_of_goal(*target);
    target.reset();

    kill_in_the_midst(
        [&] {
            auto own = open();
            own->resume({});
            std::this_thread::sleep_for(60s);
        },
        3s, false);
    EXPECT_TRUE(find_running_server(data_, config_.work_dir));
    open()->stop();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
}

// rule 28
TEST_F(RestoreTargetTest, MissingLogIsNamedAndMayComeLater)
{
    auto partial = folder_->make("partial");
    for (const auto& entry : fs::directory_iterator{archive_}) {
        fs::create_hard_link(entry.path(), partial / entry.path().filename());
    }
    auto name = fmt::format("00000001{:08X}{:08X}", goal_ >> 32, (goal_ & 0xFFFFFFFF) >> 20);
    fs::remove(partial / name);
    auto short_of = spec_;
    short_of.restore_command = fmt::format("cp {}/%f \"%p\"", partial.native());
    auto target = open();
    target->prepare(short_of);
    try {
        target->recover({}, {});
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable);
        EXPECT_THAT(error.what(), HasSubstr("recovery ended before configured recovery target"));
        EXPECT_THAT(error.hint(), HasSubstr("tidemark verify"));
    }
    // The helper's 200 is a fault, not an end.
    short_of.restore_command =
        fmt::format("test -f {0}/%f || exit 200; cp {0}/%f \"%p\"", partial.native());
    target->prepare(short_of);
    try {
        target->recover({}, {});
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable);
        EXPECT_THAT(error.what(), HasSubstr("exit code 200"));
    }
    target = recovered();
    target->promote({});
    expect_state_of_goal(*target);
    fs::remove_all(partial);
}

TEST_F(RestoreTargetTest, ACorruptLogIsNoGoal)
{
    auto broken = folder_->make("broken");
    for (const auto& entry : fs::directory_iterator{archive_}) {
        fs::copy_file(entry.path(), broken / entry.path().filename());
        app::give_to_lab_user(broken / entry.path().filename());
    }
    auto name = fmt::format("00000001{:08X}{:08X}", goal_ >> 32, (goal_ & 0xFFFFFFFF) >> 20);
    auto file = base::open_file(broken / name, O_RDWR);
    base::pwrite_full(file.get(), base::as_bytes("rot rot rot rot"), 9000, name);
    spec_.restore_command = fmt::format("cp {}/%f \"%p\"", broken.native());
    auto target = open();
    target->prepare(spec_);
    try {
        target->recover({}, {});
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable);
        EXPECT_THAT(error.what(), HasSubstr("(last: "));
    }
    fs::remove_all(broken);
}

TEST_F(RestoreTargetTest, AGoalBeforeTheBackupsEndIsRefused)
{
    spec_.goal.position = end_.stop.offset - 200;
    auto target = open();
    target->prepare(spec_);
    try {
        target->recover({}, {});
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable);
        EXPECT_THAT(error.what(), HasSubstr("before consistent recovery point"));
    }
}

TEST_F(RestoreTargetTest, RecoveryCanBeStopped)
{
    spec_.restore_command = fmt::format("sleep 0.2; cp {}/%f \"%p\"", archive_.native());
    auto target = open();
    target->prepare(spec_);
    std::stop_source stop;
    std::jthread stopper{[&] {
        std::this_thread::sleep_for(700ms);
        stop.request_stop();
    }};
    try {
        target->recover({}, stop.get_token());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::cancelled);
    }
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
}

// rule 29
TEST_F(RestoreTargetTest, ForeignOwnersAndSystemsAreRefused)
{
    auto other = config_;
    other.system_id = "42";
    try {
        open_postgres_target(other)->prepare(spec_);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch);
    }
    other = config_;
    other.version_num = 120000;
    EXPECT_THROW(open_postgres_target(other)->preflight(), base::Error);
    other = config_;
    other.preload_libraries = {"auto_explain", "no_such_library"};
    try {
        open_postgres_target(other)->preflight();
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready);
        EXPECT_THAT(error.what(), HasSubstr("no_such_library"));
        EXPECT_THAT(error.what(), Not(HasSubstr("auto_explain")));
    }
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(data_.c_str(), 0, 0), 0);
        try {
            open()->prepare(spec_);
            FAIL();
        } catch (const base::Error& error) {
            EXPECT_THAT(error.hint(), HasSubstr("chown -R"));
        }
        other = config_;
        other.user = "";
        EXPECT_THROW(open_postgres_target(other), base::Error);
    }
}

// rule 27
TEST_F(RestoreTargetTest, AsProductionPutsTheCapturedConfigurationBack)
{
    auto target = recovered();
    target->promote({});
    HandOverOptions options{.as_production = true, .start = true};
    options.captured = {
        {"/etc/postgresql/15/main/postgresql.conf", "config",
         fmt::format(
             "data_directory = '{}'\nhba_file = '/etc/postgresql/15/main/pg_hba.conf'\n"
             "external_pid_file = '/var/run/postgresql/15-main.pid'\ninclude_dir = 'conf.d'\n"
             "listen_addresses = ''\nunix_socket_directories = '{}'\n"
             "max_prepared_transactions = 33\nssl = on\nssl_cert_file = '/nowhere/cert'\n",
             cluster_->data_dir().native(), home_.native())},
        {"/etc/postgresql/15/main/conf.d/more.conf", "include", "work_mem = '7MB'\n"},
        {"/etc/postgresql/15/main/pg_hba.conf", "hba", "local all all trust\n"},
    };
    auto handed = target->hand_over(options, {});
    EXPECT_EQ(handed.socket_dir, home_.native());
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("postgresql.conf: data_directory")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("external_pid_file")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("conf.d")));
    auto sql =
        Connection::open(fmt::format("host={} user=postgres dbname=postgres", home_.native()));
    EXPECT_EQ(sql.exec("SHOW max_prepared_transactions").get(0, 0), "33");
    EXPECT_EQ(sql.exec("SHOW work_mem").get(0, 0), "7MB");
    EXPECT_EQ(sql.exec("SHOW data_directory").get(0, 0), data_.native());
    // The same command again, as after a crash that lost the answer.
    auto again = open()->hand_over(options, {});
    EXPECT_EQ(again.socket_dir, home_.native());
    EXPECT_TRUE(run_program("pg_ctl", {"-D", data_, "-w", "stop"}).exit.success());
}

// rule 25
TEST_F(RestoreTargetTest, ARenamedSuperuserIsFound)
{
    spec_.superuser = "somebody";
    auto target = recovered();
    target->promote({});
    expect_state_of_goal(*target);
    EXPECT_EQ(ask(*target, "SELECT current_user"), "postgres");
}

// rule 29
TEST_F(RestoreTargetTest, LongPathsGetAShortSocketFolder)
{
    config_.work_dir = home_ / std::string(100, 'w');
    auto target = recovered();
    target->promote({});
    expect_state_of_goal(*target);
    EXPECT_THAT(target->private_conninfo(), HasSubstr("/tmp/tidemark-"));
}

// rule 29
TEST_F(RestoreTargetTest, OddCharactersInPathsLeadNowhereElse)
{
    auto odd = home_ / "back\\slash, x\\";
    fs::create_directory(odd);
    fs::rename(home_ / "ts", odd / "ts");
    // As MemberRestore escapes it for 14 and later.
    bool escapes = config_.version_num >= 140000;
    std::string escaped = home_.native() + "/back" + (escapes ? "\\\\" : "\\") + "slash, x" +
                          (escapes ? "\\\\" : "\\") + "/ts/";
    std::map<std::string, fs::path> places;
    spec_.tablespace_map.clear();
    for (const auto& entry : fs::directory_iterator{odd / "ts"}) {
        auto oid = entry.path().filename().native();
        spec_.tablespace_map += oid + " " + escaped + oid + "\n";
        places.emplace(oid, entry.path());
    }
    fs::rename(data_, odd / "data");
    config_.dir = odd / "data";
    config_.work_dir = odd / "work";
    auto target = recovered();
    target->promote({});
    expect_state_of_goal(*target);
    EXPECT_THAT(target->private_conninfo(), HasSubstr("/tmp/tidemark-"));
    for (const auto& [oid, path] : places)
        EXPECT_EQ(fs::read_symlink(config_.dir / "pg_tblspc" / oid), path);
    target->hand_over({}, {});
}

} // namespace
} // namespace tidemark::engine::postgres
