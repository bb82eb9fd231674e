// The whole program when servers change under it: a streaming standby is promoted, the old primary
// comes back, two restores of one mark go on, the repository is put back to an older state (rules
// 13, 14, 24, 27, 35). The variants on servers in memory: src/job/failover_test.cpp.

#include "base/fd.h"
#include "cli/shared_group.h"
#include "cli/standbys.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

/// The cases are one story and run in their order, each on what the one before left.
class FailoverTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            must(lab_->backup("base"));
            make_standby();
        });
    }
    static void TearDownTestSuite()
    {
        for (const auto* dir : {"r1", "r2"})
            stop_restored(lab_->target(dir));
        standby_.reset();
        lab_.reset();
    }

    static app::LabCluster& primary() { return lab_->lab.cluster(0); }

    /// A standby of m0 with a slot of ours, as an operator makes it who wants no gap (rule 14).
    static void make_standby()
    {
        standby_ = new_standby("s0", lab_->lab.folder(), primary());
        Connection::open(standby_->url())
            .exec("SELECT pg_create_physical_replication_slot('tidemark_shop', true)");
    }

    /// The configuration with m0 at the standby.
    static void point_at_standby()
    {
        auto bytes = base::read_file(lab_->config, 1U << 20);
        std::string text(base::as_text(bytes));
        std::ofstream(old_config(), std::ios::trunc) << text;
        auto url = primary().url();
        auto at = text.find(url);
        ASSERT_NE(at, std::string::npos) << text;
        text.replace(at, url.size(), standby_->url());
        std::ofstream(lab_->config, std::ios::trunc) << text;
    }
    static fs::path old_config() { return lab_->folder() / "old.toml"; }

    static std::unique_ptr<app::LabCluster> standby_;
};

std::unique_ptr<app::LabCluster> FailoverTest::standby_;

// rule 7, 13, 14, 15
TEST_F(FailoverTest, TheLogGoesOnOnAPromotedStandbyAndSaysSo)
{
    app::Bank load(lab_->bank, lab_->witness);
    load.start();
    lab_->commits(load, 50);
    auto before = lab_->mark("before");
    ASSERT_EQ(before.code(), 0) << before.text();
    EXPECT_EQ(before.json().at("mark").at("lost").size(), 0U);
    EXPECT_TRUE(before.json().at("mark").at("two_phase_only").get<bool>());
    auto status = lab_->run({"status"});
    EXPECT_NE(status.out.find("between runs no log is received"), std::string::npos)
        << status.text();
    lab_->commits(load, 50);
    load.stop();
    ASSERT_TRUE(eventually([] { return caught_up(*standby_, primary()); }));
    // From here on the standby hears nothing: what follows is a tail that only we have.
    {
        auto sql = Connection::open(standby_->url());
        sql.exec("ALTER SYSTEM SET primary_conninfo = ''");
        sql.exec("SELECT pg_reload_conf()");
    }
    ASSERT_TRUE(eventually(
        [] { return ask(standby_->url(), "SELECT count(*) FROM pg_stat_wal_receiver") == "0"; }));
    for (std::size_t i = 0; i < 2; ++i) {
        auto sql = Connection::open(lab_->lab.cluster(i).url());
        sql.exec("BEGIN; CREATE TABLE public.torn (i int); PREPARE TRANSACTION 'torn'");
    }
    Connection::open(lab_->lab.cluster(1).url()).exec("COMMIT PREPARED 'torn'");
    auto log = lab_->run({"log"});
    ASSERT_EQ(log.code(), 0) << log.text();
    primary().kill9();
    ASSERT_EQ(ask(standby_->url(), "SELECT pg_promote()"), "t");
    point_at_standby();

    auto after = lab_->mark("after");
    EXPECT_EQ(after.code(), 3) << after.text();
    EXPECT_NE(after.err.find("failed over"), std::string::npos) << after.text();
    auto made = after.json();
    ASSERT_EQ(made.at("mark").at("lost").size(), 1U) << after.text();
    EXPECT_NE(made.at("mark").at("lost").dump().find("torn"), std::string::npos) << after.text();
    EXPECT_NE(after.err.find("torn"), std::string::npos) << after.text();
    auto audit = lab_->run({"audit", "after"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    auto verify = lab_->run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
    auto log_after = lab_->run({"log"});
    EXPECT_EQ(log_after.code(), 0) << log_after.text();
}

// rule 13
TEST_F(FailoverTest, WhatTheFailoverTookIsToldFromThenOn)
{
    auto told = [](const ToolRun& run) {
        return (run.out + run.err).find("lost in a failover: torn") != std::string::npos;
    };
    auto later = lab_->mark("later");
    ASSERT_EQ(later.code(), 0) << later.text();
    EXPECT_EQ(later.json().at("mark").at("lost").size(), 0U) << "said once";
    auto status = lab_->run({"status"});
    EXPECT_TRUE(told(status)) << status.text();
    auto document = lab_->run({"status", "--json"}).json();
    ASSERT_EQ(document.at("lost").size(), 1U) << document;
    EXPECT_TRUE(told(lab_->run({"show", "after"})));
    auto list = lab_->run({"list", "marks"});
    EXPECT_NE(list.out.find("yes, 1 lost"), std::string::npos) << list.text();
    for (const auto* mark : {"after", "later"}) {
        auto plan = lab_->run({"restore", "--plan", "--to", mark});
        EXPECT_EQ(plan.code(), 3) << plan.text();
        EXPECT_TRUE(told(plan)) << plan.text();
    }
    auto before = lab_->run({"restore", "--plan", "--to", "before"});
    EXPECT_EQ(before.code(), 0) << before.text();
    EXPECT_FALSE(told(before)) << before.text();
}

// rule 13
TEST_F(FailoverTest, TheOldPrimaryThatComesBackIsRefused)
{
    primary().start();
    for (const auto* command : {"mark", "log", "backup"}) {
        auto run = lab_->tool.run({command, "--config", old_config().string()});
        EXPECT_EQ(run.code(), 24) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_NE(run.err.find("old primary"), std::string::npos) << run.text();
    }
    primary().stop();
}

// rule 24, 27
TEST_F(FailoverTest, RestoresOfOneMarkEndOnTimelinesOfTheirOwn)
{
    std::map<std::string, std::set<int>> epochs;
    for (const auto* dir : {"r1", "r2"}) {
        auto run = lab_->restore({"--to", "before"}, dir);
        ASSERT_EQ(run.code(), 0) << run.text();
        auto verdict = lab_->check(run, "before");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        auto document = run.json();
        for (const auto& member : document.at("report").at("members")) {
            epochs[member.at("name").get<std::string>()].insert(member.at("new_epoch").get<int>());
            EXPECT_NE(member.at("neutralised").dump().find("replication slots"), std::string::npos);
        }
        for (const auto& member : lab_->restored_bank(run).members) {
            EXPECT_EQ(ask(member.url, "SHOW archive_mode"), "off");
            EXPECT_EQ(ask(member.url, "SHOW listen_addresses"), "");
        }
    }
    // m0 has been on 2 since the failover, though this mark lies before it.
    EXPECT_EQ(epochs["m0"], (std::set<int>{3, 4}));
    EXPECT_EQ(epochs["m1"], (std::set<int>{2, 3}));
}

// rule 13, 24
TEST_F(FailoverTest, AMarkBehindTheFailoverIsRestored)
{
    stop_restored(lab_->target("r1"));
    fs::remove_all(lab_->target("r1"));
    auto run = lab_->restore({"--to", "after"}, "r1");
    ASSERT_EQ(run.code(), 3) << run.text();
    EXPECT_NE(run.err.find("lost in a failover: torn"), std::string::npos) << run.text();
    auto members = lab_->restored_bank(run).members;
    EXPECT_EQ(ask(members[0].url, "SELECT to_regclass('public.torn') IS NULL"), "t");
    EXPECT_EQ(ask(members[1].url, "SELECT to_regclass('public.torn') IS NULL"), "f");
}

// rule 35
TEST_F(FailoverTest, ARepositoryThatWentBackIsNoticedWhereItWasSeenBefore)
{
    auto copy = lab_->folder() / "copy";
    fs::copy(lab_->repository, copy, fs::copy_options::recursive);
    auto mark = lab_->run({"mark"});
    ASSERT_TRUE(mark.code() == 0 || mark.code() == 3) << mark.text();
    for (const auto* command : {"status", "list"}) {
        Tool::Arguments arguments{command, "--repo", copy.string()};
        if (command == std::string("list")) arguments.insert(arguments.begin() + 1, "marks");
        auto run = lab_->tool.run(arguments);
        EXPECT_NE(run.err.find("went back"), std::string::npos) << run.text();
        if (command == std::string("list")) {
            EXPECT_EQ(run.code(), 3) << run.text();
        }
    }
    // A host that never saw it cannot tell, and says that.
    Tool stranger(lab_->folder() / "stranger");
    auto first = stranger.run({"list", "marks", "--repo", copy.string()});
    EXPECT_EQ(first.code(), 0) << first.text();
    EXPECT_NE(first.err.find("has not seen this repository before"), std::string::npos)
        << first.text();
    auto second = stranger.run({"list", "marks", "--repo", copy.string()});
    EXPECT_EQ(second.err.find("has not seen"), std::string::npos) << second.text();
}

} // namespace
} // namespace tidemark::support
