#include "restore_target_lab.h"

namespace tidemark::engine::postgres {
namespace {

// rule 23
TEST_F(RestoreTargetTest, NoEventTriggerOfTheBackupRuns)
{
    auto target = recovered();
    target->promote({});
    if (has_program("pg_amcheck")) {
        auto checked = target->check_content(2, {});
        EXPECT_TRUE(checked.ran) << checked.text;
        EXPECT_THAT(checked.faults, IsEmpty());
        EXPECT_EQ(
            target->ask("till", "SELECT extname FROM pg_extension WHERE extname = 'amcheck'", {}),
            "amcheck");
    }
    auto handed = target->prepare_hand_over({}, {});
    EXPECT_THAT(handed.neutralised, Contains("subscription closed.feed is disabled"));
    // And they are as they were.
    const char* kinds = "SELECT string_agg(evtname || ' ' || evtenabled::text, ', ' "
                        "ORDER BY evtname) FROM pg_event_trigger";
    EXPECT_EQ(target->ask("till", kinds, {}), "always A, ordinary O, replica R");
}

// rule 25
TEST_F(RestoreTargetTest, AWayInIsFoundWhereRolesAndDatabasesAreShut)
{
    spec_.goal.position = shut_goal_;
    spec_.superuser = "keeper"; // the databases first, the role below
    auto target = recovered();
    target->promote({});
    EXPECT_EQ(target->ask("till", "SELECT current_user::text", {}), "keeper");
    auto branches = target->prepared();
    EXPECT_EQ(branches.size(), 3U);
    for (const auto& branch : branches)
        target->settle(branch, true);
    EXPECT_THAT(target->prepared(), IsEmpty());
    if (has_program("pg_amcheck")) {
        auto checked = target->check_content(2, {});
        EXPECT_TRUE(checked.ran) << checked.text;
        EXPECT_THAT(checked.faults, IsEmpty());
    }
    // Nobody at all: what we say opens it.
    Connection::open(target->private_conninfo() + " dbname=till").exec("ALTER ROLE keeper NOLOGIN");
    target = open();
    std::string hint;
    try {
        target->resume({});
        FAIL() << "nobody may log in";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
        hint = error.hint();
    }
    EXPECT_THAT(hint, HasSubstr("ALTER ROLE \"postgres\" LOGIN"));
    auto typed = base::run({"/bin/sh", "-c", hint.substr(0, hint.find(", then"))},
                           {.process = {.directory = "/"}, .deadline = 60s});
    EXPECT_TRUE(typed.exit.success()) << hint << typed.err;
    target->resume({});
    EXPECT_EQ(target->ask("till", "SELECT current_user::text", {}), "postgres");
}

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
    ASSERT_EQ(branches.size(), 5U);
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

    auto handed = hand_over(*target, {}, false);
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
    // Of all that was committed, on the old server and by us.
    EXPECT_EQ(sql.exec("SELECT count(pg_xact_commit_timestamp(xmin)) = count(*) FROM public.events")
                  .get(0, 0),
              "t");
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
    auto handed = hand_over(*target, {}, true);
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

// rule 23, 26
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
    // rule 23: who it is is asserted before anything is done with it.
    auto other = config_;
    other.system_id = "42";
    auto mistaken = open_postgres_target(other);
    try {
        mistaken->resume({});
        ADD_FAILURE() << "another system was taken for ours";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch) << error.what();
    }
    mistaken.reset();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));
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
    EXPECT_EQ(target->prepared().size(), 5U);
    EXPECT_EQ(find_running_server(data_, config_.work_dir)->pid, running->pid);
    target.reset();
    EXPECT_FALSE(find_running_server(data_, config_.work_dir));

    // Handed over running, and then we die before anybody knows.
    hand_over(*open(), {}, true);
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
    hand_over(*target, {}, false);
}

} // namespace
} // namespace tidemark::engine::postgres
