#include "restore_target_lab.h"

#include <algorithm>

namespace tidemark::engine::postgres {
namespace {

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
        EXPECT_EQ(error.code(), base::Code::not_restorable);
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

/// What is captured where the configuration lies outside the data directory `old`; the server that
/// has it listens in `socket_dir`.
std::vector<CapturedFile> debian_files(const fs::path& old, const fs::path& socket_dir)
{
    return {
        {"/etc/postgresql/15/main/postgresql.conf", "config",
         fmt::format(
             "data_directory = '{0}'\nhba_file = '/etc/postgresql/15/main/pg_hba.conf'\n"
             "external_pid_file = '/var/run/postgresql/15-main.pid'\ninclude_dir = 'conf.d'\n"
             "listen_addresses = ''\nunix_socket_directories = '{1}'\n"
             "max_prepared_transactions = 33\nssl = on\nssl_cert_file = '/nowhere/cert'\n"
             "include_dir = 'empty.d'\ninclude '{0}/postgresql.auto.conf.gone'\n",
             old.native(), socket_dir.native())},
        {"/etc/postgresql/15/main/conf.d/more.conf", "include", "work_mem = '7MB'\n"},
        {"/etc/postgresql/15/main/pg_hba.conf", "hba", "local all all trust\n"},
    };
}

// rule 27
TEST_F(RestoreTargetTest, TheConfigurationBesideAQuarantinedServerCanBePutBack)
{
    auto target = recovered();
    target->promote({});
    HandOverOptions options;
    options.captured = debian_files(cluster_->data_dir(), home_);
    auto handed = hand_over(*target, options, false);
    EXPECT_THAT(handed.changed_lines,
                Contains(HasSubstr("postgresql.conf.from-backup: data_directory")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("conf.d")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("ssl_cert_file")));
    // As the recovery sheet says; taken as it was it would lead to the original cluster.
    for (const char* name : {"postgresql.conf", "pg_hba.conf"})
        fs::rename(data_ / (std::string(name) + ".from-backup"), data_ / name);
    auto started = run_program("pg_ctl", {"-D", data_, "-w", "-l", data_ / "server.log", "start"});
    ASSERT_TRUE(started.exit.success()) << started.out << started.err;
    auto sql =
        Connection::open(fmt::format("host={} user=postgres dbname=postgres", home_.native()));
    EXPECT_EQ(sql.exec("SHOW max_prepared_transactions").get(0, 0), "33");
    EXPECT_EQ(sql.exec("SHOW work_mem").get(0, 0), "7MB");
    EXPECT_EQ(sql.exec("SHOW data_directory").get(0, 0), data_.native());
    EXPECT_TRUE(run_program("pg_ctl", {"-D", data_, "-w", "stop"}).exit.success());
}

// rule 27
TEST_F(RestoreTargetTest, ABackupOfARestoredServerBringsItsPresentConfiguration)
{
    // The member was handed over by a restore, changed by its people, and backed up like that.
    write_text(data_ / "pg_hba.conf", "# Written by tidemark\nlocal all present trust\n");
    for (const char* former : {"pg_hba.conf.from-backup", "pg_hba.conf.from-backup.original"})
        write_text(data_ / former, "local all former trust\n");
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, false);
    auto text_of = [&](const char* name) {
        return std::string(base::as_text(base::read_file(data_ / name, 1U << 20)));
    };
    EXPECT_THAT(text_of("pg_hba.conf.from-backup"), HasSubstr("local all present trust\n"));
    EXPECT_THAT(text_of("pg_hba.conf.from-backup"), Not(HasSubstr("former")));
    EXPECT_THAT(text_of("pg_hba.conf"), Not(HasSubstr("present")));
}

// rule 27
TEST_F(RestoreTargetTest, AsProductionPutsTheCapturedConfigurationBack)
{
    auto target = recovered();
    target->promote({});
    HandOverOptions options{.as_production = true};
    options.captured = debian_files(cluster_->data_dir(), home_);
    auto handed = hand_over(*target, options, true);
    EXPECT_EQ(handed.socket_dir, home_.native());
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("postgresql.conf: data_directory")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("external_pid_file")));
    EXPECT_THAT(handed.changed_lines, Contains(HasSubstr("conf.d")));
    auto sql =
        Connection::open(fmt::format("host={} user=postgres dbname=postgres", home_.native()));
    EXPECT_EQ(sql.exec("SHOW max_prepared_transactions").get(0, 0), "33");
    EXPECT_EQ(sql.exec("SHOW work_mem").get(0, 0), "7MB");
    EXPECT_EQ(sql.exec("SHOW data_directory").get(0, 0), data_.native());
    EXPECT_EQ(sql.exec("SELECT subenabled FROM pg_subscription").get(0, 0), "t");
    // The same command again, as after a crash that lost the answer.
    auto again = hand_over(*open(), options, true);
    EXPECT_EQ(again.socket_dir, home_.native());
    EXPECT_TRUE(run_program("pg_ctl", {"-D", data_, "-w", "stop"}).exit.success());
}

// rules 22 and 27
TEST_F(RestoreTargetTest, WhatDoesNotStartAsProductionIsFoundWhereNobodySeesIt)
{
    auto target = recovered();
    target->promote({});
    HandOverOptions options{.as_production = true};
    auto config = [&](const std::string& more) {
        options.captured = {{"/etc/pg/postgresql.conf", "config",
                             fmt::format("listen_addresses = '127.0.0.1'\nport = 1\n"
                                         "unix_socket_directories = '{}'\narchive_mode = on\n"
                                         "max_prepared_transactions = 20\n"
                                         "archive_command = 'touch {}/archived; false'\n{}",
                                         home_.native(), home_.native(), more)},
                            {"/etc/pg/pg_hba.conf", "hba", "local all all trust\n"}};
    };
    config("shared_preload_libraries = 'no_such_library'\n");
    try {
        target->prepare_hand_over(options, {});
        FAIL() << "it starts without its library";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready);
        EXPECT_THAT(error.what(), HasSubstr("no_such_library"));
    }
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
    EXPECT_FALSE(fs::exists(data_ / "server.log"));
    // Port 1 is nobody's to listen on: it is not tried, and nothing is archived.
    config("");
    target->prepare_hand_over(options, {});
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
    EXPECT_FALSE(fs::exists(home_ / "archived"));
    // One that was left behind by a kill has production's access rules: it is not gone on with.
    ServerProcess left({.bin_dir = find_server_binaries(config_.bin_dir, config_.version_num),
                        .data_dir = data_,
                        .work_dir = config_.work_dir,
                        .config_file = config_.work_dir / kTrialConfig,
                        .log_file = config_.work_dir / "trial.log",
                        .user = server_user(config_.user),
                        .settings = {"listen_addresses=", "port=5432"}});
    left.start();
    EXPECT_TRUE(find_running_server(data_, config_.work_dir)->trial);
    target->resume({});
    EXPECT_TRUE(find_running_server(data_, config_.work_dir)->ours);
    EXPECT_FALSE(find_running_server(data_, config_.work_dir)->trial);
    target->take_back();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
}

// rule 23
TEST_F(RestoreTargetTest, NothingIsStartedWhoseConfigurationLeadsElsewhere)
{
    fs::create_directory(config_.work_dir);
    auto evil = config_.work_dir / "evil.conf";
    write_text(evil, fmt::format("data_directory = '{}'\nlisten_addresses = ''\n"
                                 "unix_socket_directories = '{}'\n",
                                 cluster_->data_dir().native(), home_.native()));
    ServerProcess server({.bin_dir = find_server_binaries(config_.bin_dir, config_.version_num),
                          .data_dir = data_,
                          .work_dir = config_.work_dir,
                          .config_file = evil,
                          .log_file = config_.work_dir / "evil.log",
                          .user = server_user(config_.user)});
    try {
        server.start();
        ADD_FAILURE() << "started under " << evil;
    } catch (const base::Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("nothing was started"));
        EXPECT_THAT(error.what(), HasSubstr(cluster_->data_dir().native()));
    }
    EXPECT_FALSE(find_running_server(cluster_->data_dir(), config_.work_dir));
    EXPECT_FALSE(fs::exists(config_.work_dir / "evil.log"));
}

// rule 22
TEST_F(RestoreTargetTest, AServerThatWasHandedOverIsTakenBack)
{
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    EXPECT_FALSE(find_running_server(data_, config_.work_dir)->ours);
    target->take_back();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
    target->resume({});
    expect_state_of_goal(*target);
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

// rule 25, 29
TEST_F(RestoreTargetTest, AnotherRolesBranchIsSettledAndCollationsAreCompared)
{
    bool icu = facts_.collation_versions.contains("i:de");
    spec_.collation_versions = facts_.collation_versions;
    spec_.collation_versions["i:nowhere"] = "1";
    if (icu) spec_.collation_versions["i:de"] = "1.2.3";
    auto target = recovered();
    target->promote({});
    auto branches = target->prepared();
    auto tellers = std::ranges::find(branches, "teller's", &PreparedBranch::gid);
    ASSERT_NE(tellers, branches.end());
    EXPECT_EQ(tellers->owner, "teller");
    EXPECT_EQ(tellers->database, "till");
    target->settle(*tellers, true);
    EXPECT_EQ(target->ask("till", "SELECT count(*)::text FROM drawer", {}), "1");
    EXPECT_EQ(ask(*target, "SELECT count(*) FROM pg_prepared_xacts"), "4");

    auto warnings = target->warnings();
    EXPECT_THAT(warnings, Contains(HasSubstr("collation i:nowhere (version 1 at backup) is not "
                                             "known to this host")));
    for (const auto& [locale, version] : facts_.collation_versions) {
        auto told = Contains(HasSubstr("collation " + locale + " has version"));
        if (locale != "i:de") {
            EXPECT_THAT(warnings, Not(told));
        }
    }
    if (!icu) return;
    EXPECT_THAT(warnings, Contains(HasSubstr("had 1.2.3 at backup: REINDEX")));
    EXPECT_THAT(warnings, Contains(HasSubstr("collation german was made with version 1.0")));
}

// rule 29
TEST_F(RestoreTargetTest, AServerInAFolderOfAnyNameIsStarted)
{
    auto odd = home_ / "it's \"$HOME`x\\";
    fs::create_directory(odd);
    fs::rename(data_, odd / "data");
    config_.dir = odd / "data";
    config_.work_dir = odd / "work";
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    auto running = find_running_server(config_.dir, config_.work_dir);
    ASSERT_TRUE(running);
    EXPECT_FALSE(running->ours);
    target->take_back();
    EXPECT_FALSE(find_running_server(config_.dir, config_.work_dir));
    target->resume({});
    // As a person does it.
    auto handed = hand_over(*target, {}, false);
    auto typed = base::run({"/bin/sh", "-c", handed.start_command + " > /dev/null 2>&1"},
                           {.process = {.directory = "/"}, .deadline = 60s});
    EXPECT_TRUE(typed.exit.success()) << handed.start_command;
    EXPECT_TRUE(find_running_server(config_.dir, config_.work_dir)) << handed.start_command;
    target->take_back();
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

} // namespace
} // namespace tidemark::engine::postgres
