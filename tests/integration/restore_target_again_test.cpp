// A restore that was handed over and is taken up again, as --decisions does.

#include "restore_target_lab.h"

namespace tidemark::engine::postgres {
namespace {

/// As its users do, in quarantine.
Connection as_user(const fs::path& data)
{
    return Connection::open(fmt::format("host={} user=postgres dbname=postgres", data.native()));
}

// rules 23, 26, 27
TEST_F(RestoreTargetTest, WhatAlterSystemWroteIsNotInForceInOurOwnServer)
{
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    {
        auto sql = as_user(data_);
        sql.exec("ALTER SYSTEM SET archive_mode = on");
        sql.exec(fmt::format("ALTER SYSTEM SET archive_command = 'touch {}; false'",
                             (home_ / "archived").native()));
        sql.exec("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'");
    }
    target->take_back();
    target->resume({});
    EXPECT_EQ(ask(*target, "SHOW archive_mode"), "off");
    EXPECT_EQ(ask(*target, "SHOW archive_command"), "(disabled)");
    expect_state_of_goal(*target);
    auto handed = hand_over(*target, {}, false);
    auto kept = base::read_file(data_ / "postgresql.auto.conf.kept", 1U << 20);
    EXPECT_THAT(std::string(base::as_text(kept)), HasSubstr("no_such_library"));
    EXPECT_THAT(handed.kept_files, Contains("postgresql.auto.conf.kept"));
    EXPECT_FALSE(fs::exists(home_ / "archived"));
}

// rule 26
TEST_F(RestoreTargetTest, WhatAlterSystemWroteIsBackWhenARunEndsEarly)
{
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    as_user(data_).exec("ALTER SYSTEM SET work_mem = '7MB'");
    target->take_back();
    auto present = [&] {
        auto text = base::read_file(data_ / "postgresql.auto.conf", 1U << 20);
        return std::string(base::as_text(text));
    };
    for (const bool stopped : {true, false}) {
        target->resume({});
        EXPECT_FALSE(fs::exists(data_ / "postgresql.auto.conf"));
        if (stopped)
            target->stop();
        else
            target.reset();
        EXPECT_THAT(present(), HasSubstr("work_mem = '7MB'"));
        EXPECT_FALSE(fs::exists(data_ / "postgresql.auto.conf.parked"));
    }
}

// rules 22 and 26
TEST_F(RestoreTargetTest, LimitsThatWereRaisedAfterTheHandOverHold)
{
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    as_user(data_).exec("ALTER SYSTEM SET max_prepared_transactions = 30");
    auto restarted =
        run_program("pg_ctl", {"-D", data_, "-w", "-l", data_ / "server.log", "restart"});
    ASSERT_TRUE(restarted.exit.success()) << restarted.out << restarted.err;
    {
        auto sql = as_user(data_);
        // With those of the goal more than the cluster that was backed up had room for.
        for (int i = 0; i < 20; ++i) {
            sql.exec(fmt::format("BEGIN; INSERT INTO public.events VALUES ({}, 'more'); "
                                 "PREPARE TRANSACTION 'more-{}'",
                                 -1000 - i, i));
        }
    }
    target->take_back();
    target->resume({});
    EXPECT_EQ(target->prepared().size(), 25U);
    hand_over(*target, {}, true);
    EXPECT_EQ(as_user(data_).exec("SHOW max_prepared_transactions").get(0, 0), "30");
    target->take_back();
}

// rule 27
TEST_F(RestoreTargetTest, SubscriptionsThatAnEarlierRunDisabledAreOnAsProduction)
{
    auto target = recovered();
    target->promote({});
    auto handed = hand_over(*target, {}, false);
    EXPECT_THAT(handed.neutralised, Contains("subscription closed.feed is disabled"));
    // Once more in quarantine: what was disabled already is not forgotten.
    hand_over(*target, {}, false);
    HandOverOptions options{.as_production = true};
    options.captured = {{"/etc/pg/postgresql.conf", "config",
                         fmt::format("listen_addresses = ''\nunix_socket_directories = '{}'\n"
                                     "max_prepared_transactions = 20\n",
                                     home_.native())},
                        {"/etc/pg/pg_hba.conf", "hba", "local all all trust\n"}};
    const auto told = Contains(HasSubstr("subscription closed.feed: disabled by an earlier run"));
    handed = hand_over(*target, options, true);
    EXPECT_THAT(handed.changed_lines, told);
    EXPECT_EQ(as_user(home_).exec("SELECT subenabled FROM pg_subscription").get(0, 0), "t");
    // What people do with it since is theirs.
    target->take_back();
    EXPECT_THAT(hand_over(*target, options, false).changed_lines, Not(told));
}

} // namespace
} // namespace tidemark::engine::postgres
