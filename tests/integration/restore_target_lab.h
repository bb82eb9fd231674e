#pragma once

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

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using app::LabCluster;
using app::LabFolder;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

inline void write_text(const fs::path& path, const std::string& text, bool append = false)
{
    std::ofstream{path, append ? std::ios::app : std::ios::trunc} << text;
    app::give_to_lab_user(path);
}

/// Both steps of a hand-over, as for a group of one.
inline HandOver hand_over(RestoreTarget& target, const HandOverOptions& options, bool start)
{
    auto result = target.prepare_hand_over(options, {});
    target.hand_over(result, start);
    return result;
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
                          {"max_prepared_transactions", "20"},
                          {"track_commit_timestamp", "on"}},
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
        sql.exec("CREATE ROLE teller LOGIN");
        sql.exec("CREATE DATABASE till OWNER teller");
        // As if the host's library had changed since somebody made it.
        if (sql.exec("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'").get(0, 0) !=
            "0") {
            sql.exec("CREATE COLLATION german (provider = icu, locale = 'de')");
            sql.exec("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'german'");
        }
        connect("closed").exec("CREATE TABLE secrets(id int)");
        // One that would drain a publisher's slot, in a database that will accept nobody.
        auto inner = connect("closed");
        inner.exec("CREATE SUBSCRIPTION feed CONNECTION 'host=/nonexistent' PUBLICATION p "
                   "WITH (connect = false, slot_name = 'feed')");
        inner.exec("ALTER SUBSCRIPTION feed ENABLE");
        forbid_definitions("closed");
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

    /// By event triggers of each kind: ordinary, for replicas, and for all sessions.
    static void forbid_definitions(const std::string& database)
    {
        auto sql = connect(database);
        sql.exec("CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN RAISE EXCEPTION 'forbidden in production: %', tg_tag; END $$");
        for (const char* name : {"always", "ordinary", "replica"})
            sql.exec(fmt::format(
                "CREATE EVENT TRIGGER \"{}\" ON ddl_command_start EXECUTE FUNCTION forbid()",
                name));
        sql.exec("ALTER EVENT TRIGGER \"always\" ENABLE ALWAYS");
        sql.exec("ALTER EVENT TRIGGER \"replica\" ENABLE REPLICA");
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
        facts_ = source->facts();
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
        {
            auto till = connect("till");
            till.exec("SET SESSION AUTHORIZATION teller");
            till.exec("CREATE TABLE drawer(id int)");
            till.exec("BEGIN; INSERT INTO drawer VALUES (1); PREPARE TRANSACTION 'teller''s'");
        }
        forbid_definitions("till");
        sql.exec("ALTER ROLE teller NOLOGIN");
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
        shut_doors();
        auto end = sql.exec("SELECT pg_walfile_name(pg_switch_wal())");
        auto last = archive_ / std::string(end.get(0, 0));
        for (int i = 0; i < 1000 && !fs::exists(last); ++i)
            std::this_thread::sleep_for(20ms);
        ASSERT_TRUE(fs::exists(last));
        cluster_->stop();
    }

    /// By the role and the databases that every cluster begins with nobody comes in any more.
    static void shut_doors()
    {
        auto sql = connect("till");
        sql.exec("CREATE ROLE keeper SUPERUSER LOGIN");
        sql.exec("ALTER DATABASE template1 ALLOW_CONNECTIONS false");
        sql.exec("ALTER DATABASE postgres ALLOW_CONNECTIONS false");
        sql.exec("ALTER ROLE postgres NOLOGIN");
        shut_goal_ = *sql.exec("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
        sql.exec("SELECT pg_create_restore_point('shut')");
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
        EXPECT_EQ(ask(target, "SELECT count(*) FROM pg_prepared_xacts"), "5");
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

    inline static LabFolder* folder_ = nullptr;
    inline static LabCluster* cluster_ = nullptr;
    inline static fs::path archive_;
    inline static BackupEnd end_;
    inline static model::BackupFacts facts_;
    inline static model::Offset goal_ = 0;
    inline static model::Offset shut_goal_ = 0; ///< after goal_
    inline static std::string system_id_;
    inline static std::string expected_;
    fs::path home_;
    fs::path data_;
    TargetConfig config_;
    RecoverySpec spec_;
};

} // namespace tidemark::engine::postgres
