// The way a person goes: every command once, on real clusters under load, by the real program.

#include "base/clock.h"
#include "cli/shared_group.h"
#include "engine/postgres/pq.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

class CommandsTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            lab_->bank.crash_share = 0.1;
            app::Bank load(lab_->bank, lab_->witness);
            load.start();
            lab_->commits(load, 50);
            auto backup = must(lab_->backup("base"));
            ASSERT_FALSE(backup.json().is_null()) << backup.text();
            must(lab_->run({"log", "--json"}));
            lab_->commits(load, 50);
            noon_ = must(lab_->mark("noon")).json().at("mark");
            lab_->commits(load, 50);
            between_ = lab_->moment("between");
            lab_->commits(load, 50);
            load.stop();
            app::leave_orphans(lab_->bank, lab_->witness, 1, true);
            app::leave_orphans(lab_->bank, lab_->witness, 1, false);
            last_ = must(lab_->mark("last")).json().at("mark");
        });
    }

    void TearDown() override
    {
        stop_restored(lab_->target("r"));
        std::filesystem::remove_all(lab_->target("r"));
    }

    /// Restores, and finds the bank whole at `mark`.
    static ToolRun restored(const std::string& to, const std::string& mark)
    {
        auto run = lab_->restore({"--to", to}, "r");
        EXPECT_EQ(run.code(), 0) << run.text();
        if (run.code() != 0) return run;
        auto verdict = lab_->check(run, mark);
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        EXPECT_EQ(verdict.in_doubt, 0U);
        EXPECT_GT(verdict.present, 0U);
        return run;
    }

    static nlohmann::json noon_;
    static base::Time between_;
    static nlohmann::json last_;
};

nlohmann::json CommandsTest::noon_;
base::Time CommandsTest::between_;
nlohmann::json CommandsTest::last_;

TEST_F(CommandsTest, CheckNamesWhatWaitsAndTheFix)
{
    auto run = lab_->run({"check", "--json"});
    ASSERT_EQ(run.code(), 0) << run.text();
    auto checks = run.json().at("checks");
    EXPECT_GT(checks.size(), 6U);
    for (const auto& check : checks) {
        EXPECT_FALSE(check.at("cause").get<std::string>().empty()) << check;
        EXPECT_EQ(check.at("state") == "failed", false) << check;
        EXPECT_TRUE(check.at("state") == "ok" || !check.at("fix").get<std::string>().empty())
            << check;
    }
    EXPECT_NE(lab_->run({"check"}).out.find("0 failed"), std::string::npos);
    // The laboratory has all on one disk of one host, which is what these two are about.
    std::map<std::string, std::string> group;
    for (const auto& check : checks)
        if (check.at("member") == "group") group[check.at("check")] = check.at("state");
    EXPECT_EQ(group["repository"], "ok") << run.text();
    EXPECT_EQ(group["repository_writable"], "ok") << run.text();
    EXPECT_EQ(group["repository_host"], "waiting") << run.text();
    EXPECT_EQ(group["repository_device"], "waiting") << run.text();
    EXPECT_EQ(group["clocks"], "ok") << run.text();
}

TEST_F(CommandsTest, ListsShowWhatWasMade)
{
    for (const auto& [what, least] : std::map<std::string, std::size_t>{
             {"marks", 3}, {"backups", 2}, {"sets", 3}, {"runs", 4}}) {
        auto run = lab_->run({"list", what, "--json"});
        EXPECT_EQ(run.code(), 0) << run.text();
        ASSERT_FALSE(run.json().is_null()) << run.text();
        EXPECT_GE(run.json().at(what).size(), least) << run.text();
        auto text = lab_->run({"list", what});
        EXPECT_EQ(text.code(), 0) << text.text();
        auto lines = std::count(text.out.begin(), text.out.end(), '\n');
        EXPECT_GT(static_cast<std::size_t>(lines), least) << text.text();
    }
    auto marks = lab_->run({"list", "marks", "--json"}).json().at("marks");
    EXPECT_EQ(marks.front().at("name"), "last");
    EXPECT_TRUE(marks.front().at("restorable").get<bool>());
    EXPECT_EQ(marks.front().at("in_doubt"), 3);
}

TEST_F(CommandsTest, ShowTakesEveryKindOfId)
{
    auto id = last_.at("id").get<std::string>();
    for (const auto& what : {id, std::string("noon"), std::string("s-1"), std::string("run-1"),
                             std::string("m0/b-1")}) {
        auto run = lab_->run({"show", what});
        EXPECT_EQ(run.code(), 0) << run.text();
        EXPECT_FALSE(run.out.empty()) << what;
        EXPECT_EQ(run.out.find('{'), std::string::npos) << "for people: " << run.text();
        EXPECT_FALSE(lab_->run({"show", what, "--json"}).json().is_null()) << what;
    }
    EXPECT_NE(lab_->run({"show", "b-1"}).err.find("m0/b-1, m1/b-1"), std::string::npos);
    for (const auto& what :
         {"s-99", "run-99", "m0/b-99", "m0/x", "nobody/b-1", "no-such-mark", "b-1"}) {
        auto run = lab_->run({"show", what});
        EXPECT_EQ(run.code(), 2) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
    }
}

/// Each run with --json is compared with docs/guide/json.md (cli/tool.cpp).
TEST_F(CommandsTest, EveryCommandThatReadsSpeaksJson)
{
    for (Tool::Arguments line :
         std::vector<Tool::Arguments>{{"list", "windows"},
                                      {"list", "drills"},
                                      {"list", "holds"},
                                      {"audit", "noon", "--explain", "no-such-gid"},
                                      {"reindex"},
                                      {"expire", "--plan"},
                                      {"restore", "--to", "last", "--plan"},
                                      {"restore", "--to", base::format_time(between_), "--plan"},
                                      {"sheet"},
                                      {"mark", "--name", "m-1"}}) { // refused: an error
        line.emplace_back("--json");
        auto run = lab_->run(line);
        EXPECT_EQ(run.code(), line.front() == "mark" ? 2 : 0) << run.text();
        EXPECT_EQ(run.json().at("command"), line.front()) << run.text();
    }
}

TEST_F(CommandsTest, WhatIsTakenInsteadOfATimeIsSaidOnlyWhenThereIsSuchAMark)
{
    auto before = lab_->run({"restore", "--to", "2020-01-01", "--plan"});
    EXPECT_EQ(before.code(), 31) << before.text();
    EXPECT_TRUE(before.explained()) << before.text();
    EXPECT_EQ(before.err.find("taken instead"), std::string::npos) << before.text();
    auto after = lab_->run({"restore", "--to", "2999-01-01", "--plan"});
    EXPECT_EQ(after.code(), 3) << after.text();
    EXPECT_NE(after.err.find("is taken instead: m-"), std::string::npos) << after.text();
}

TEST_F(CommandsTest, StatusSaysRestorableAndComplete)
{
    auto run = lab_->run({"status", "--json"});
    ASSERT_EQ(run.code(), 0) << run.text();
    auto document = run.json();
    EXPECT_EQ(document.at("restorable").at("mark").at("name"), "last");
    ASSERT_EQ(document.at("members").size(), 2U);
    for (const auto& member : document.at("members")) {
        EXPECT_EQ(member.at("chain"), "complete") << member;
        EXPECT_EQ(member.at("role"), "primary") << member;
        EXPECT_TRUE(member.at("slot").at("exists").get<bool>());
    }
    EXPECT_NE(lab_->run({"status"}).out.find("RESTORABLE to"), std::string::npos);
}

TEST_F(CommandsTest, AnyMomentBetweenMarksCanBeRestored)
{
    auto windows = lab_->run({"list", "windows", "--json"});
    ASSERT_EQ(windows.json().at("windows").size(), 1U) << windows.text();
    auto time = base::format_time(between_);
    auto run = restored(time, "between");
    auto moment = run.json().at("moment");
    EXPECT_EQ(moment.at("after"), noon_.at("id")) << moment;
    EXPECT_EQ(moment.at("before"), last_.at("id")) << moment;
    for (const auto& member : moment.at("members")) {
        EXPECT_LE(member.at("last_kept").get<std::string>(), time) << moment;
        EXPECT_GT(member.at("first_dropped").get<std::string>(), time) << moment;
    }
    auto beyond = lab_->run({"restore", "--to", "2100-01-01", "--plan", "--json"});
    EXPECT_EQ(beyond.code(), 3) << beyond.text();
    EXPECT_EQ(beyond.json().at("plan").at("mark").at("name"), "last") << beyond.text();
}

TEST_F(CommandsTest, VerifyFindsNoFaultAndAuditTheSameProof)
{
    auto verify = lab_->run({"verify", "--json"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
    EXPECT_EQ(verify.json().at("marks"), verify.json().at("restorable_marks"));
    for (const auto& mark : {"base", "noon", "last"}) {
        auto audit = lab_->run({"audit", mark, "--json"});
        EXPECT_EQ(audit.code(), 0) << audit.text();
        EXPECT_TRUE(audit.json().at("good").get<bool>());
    }
    auto show = lab_->run({"show", "last", "--json"}).json();
    auto gid = lab_->run({"restore", "--to", "last", "--plan", "--json"})
                   .json()
                   .at("plan")
                   .at("in_doubt")
                   .at(0)
                   .at("gid")
                   .get<std::string>();
    auto explain = lab_->run({"audit", "last", "--explain", gid, "--json"});
    EXPECT_EQ(explain.code(), 0) << explain.text();
    EXPECT_GE(explain.json().at("explain").size(), 2U) << explain.text();
    EXPECT_NE(lab_->run({"audit", "last", "--explain", gid}).out.find(gid), std::string::npos);
}

TEST_F(CommandsTest, APlanWritesNothing)
{
    const Tool fresh(lab_->folder() / "fresh"); // has seen no repository yet
    auto before = listing(lab_->folder());
    for (const char* command : {"restore", "expire"}) {
        auto run = fresh.run({command, "--plan", "--config", lab_->config.string()});
        EXPECT_EQ(run.code(), 0) << run.text();
        EXPECT_EQ(listing(lab_->folder()), before) << command;
    }
    for (bool json : {false, true}) {
        Tool::Arguments arguments{"restore", "--plan", "--dir", lab_->target("r").string()};
        if (json) arguments.push_back("--json");
        auto run = lab_->run(arguments);
        EXPECT_EQ(run.code(), 0) << run.text();
        EXPECT_NE(run.out.find("m1"), std::string::npos) << run.text();
    }
    EXPECT_FALSE(std::filesystem::exists(lab_->target("r")));
    EXPECT_EQ(listing(lab_->folder()), before);
}

TEST_F(CommandsTest, RestoresToTheLatestAndSettlesByEvidence)
{
    auto run = restored("latest", "last");
    auto report = run.json().at("report");
    std::map<std::string, int> actions;
    for (const auto& member : report.at("members")) {
        for (const auto& decision : member.at("decisions"))
            ++actions[decision.at("action").get<std::string>()];
    }
    EXPECT_EQ(actions, (std::map<std::string, int>{{"commit", 1}, {"rollback", 2}}));
    EXPECT_TRUE(std::filesystem::exists(lab_->target("r") /
                                        ("restore-" + last_.at("id").get<std::string>() + ".txt")));
}

TEST_F(CommandsTest, RestoresToANameAndAnId)
{
    auto run = restored("noon", "noon");
    auto lost = run.json().at("report").at("lost");
    EXPECT_EQ(lost.size(), 2U) << lost;
    TearDown();
    restored("m-1", "base");
}

TEST_F(CommandsTest, APointThatIsNotThereIsNamedWithItsNeighbours)
{
    for (const auto& to : {"m-99", "never", "2001-01-01T00:00:00Z"}) {
        auto run = lab_->run({"restore", "--to", to, "--dir", lab_->target("r").string()});
        EXPECT_EQ(run.code(), 31) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_NE(run.err.find("m-1"), std::string::npos) << run.text();
    }
    EXPECT_FALSE(std::filesystem::exists(lab_->target("r")));
}

TEST_F(CommandsTest, TheRepositoryAloneIsEnough)
{
    auto repo = lab_->repository.string();
    auto list = lab_->tool.run({"--repo", repo, "list", "marks", "--json"});
    ASSERT_EQ(list.code(), 0) << list.text();
    EXPECT_EQ(list.json().at("marks").size(), 3U);
    EXPECT_FALSE(list.json().at("more").get<bool>());
    auto newest = lab_->tool.run({"--repo", repo, "list", "marks", "--limit", "1", "--json"});
    EXPECT_EQ(newest.json().at("marks").size(), 1U) << newest.text();
    EXPECT_EQ(newest.json().at("marks")[0], list.json().at("marks")[0]);
    EXPECT_TRUE(newest.json().at("more").get<bool>());
    // What is held is shown however old it is.
    auto oldest = list.json().at("marks").back().at("id").get<std::string>();
    ASSERT_EQ(lab_->tool.run({"--repo", repo, "hold", oldest}).code(), 0);
    newest = lab_->tool.run({"--repo", repo, "list", "marks", "--limit", "1", "--json"});
    ASSERT_EQ(newest.json().at("marks").size(), 2U) << newest.text();
    EXPECT_EQ(newest.json().at("marks")[1].at("id"), oldest);
    EXPECT_TRUE(newest.json().at("marks")[1].at("held").get<bool>());
    EXPECT_EQ(lab_->tool.run({"--repo", repo, "release", oldest}).code(), 0);
    EXPECT_EQ(lab_->tool.run({"--repo", repo, "list", "windows", "--limit", "1"}).code(), 2);
    auto sets = lab_->tool.run({"--repo", repo, "list", "sets", "--limit", "2"});
    EXPECT_NE(sets.err.find("--limit 0"), std::string::npos) << sets.text();
    auto run = lab_->tool.run({"--repo", "file://" + repo, "restore", "--to", "noon", "--dir",
                               lab_->target("r").string(), "--json", "--start"});
    ASSERT_EQ(run.code(), 0) << run.text();
    auto verdict = lab_->check(run, "noon");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    auto backup = lab_->tool.run({"--repo", repo, "backup"});
    EXPECT_EQ(backup.code(), 2) << backup.text();
    EXPECT_TRUE(backup.explained()) << backup.text();
    // Nor does one that lies about and is broken stand in the way.
    auto stray = lab_->folder() / "scratch" / "tidemark.toml";
    std::ofstream(stray) << "[group.shop\n";
    auto marks = lab_->tool.run({"--repo", repo, "list", "marks"});
    EXPECT_EQ(marks.code(), 0) << marks.text();
    EXPECT_NE(marks.err.find("is left aside"), std::string::npos) << marks.text();
    EXPECT_EQ(lab_->tool.run({"list", "marks"}).code(), 2);
    EXPECT_EQ(lab_->tool.run({"--repo", repo, "list", "marks", "--config", stray}).code(), 2);
    std::filesystem::remove(stray);
}

TEST_F(CommandsTest, AnInitThatIsRefusedMakesNothing)
{
    auto& cluster = lab_->lab.cluster(0);
    auto place = lab_->folder() / "refused";
    auto config = lab_->folder() / "refused.toml";
    auto init = [&](std::vector<std::string> members) {
        members.insert(members.begin(), "init");
        members.insert(members.end(), {"--repo", place.string(), "--config", config.string(),
                                       "--group", "refused"});
        auto run = lab_->tool.run(members);
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_FALSE(std::filesystem::exists(place)) << run.text();
        EXPECT_FALSE(std::filesystem::exists(config)) << run.text();
        return run;
    };
    auto twins = init({"a=" + cluster.url(), "b=" + cluster.url()});
    EXPECT_EQ(twins.code(), 2) << twins.text();
    EXPECT_NE(twins.err.find("a and b are the same cluster"), std::string::npos) << twins.text();

    auto& other = lab_->lab.cluster(1);
    auto bound = [&](const std::string& change, bool none) {
        for (auto* each : {&cluster, &other}) {
            engine::postgres::Connection::open(each->url()).exec(change);
            each->reload();
        }
        return eventually([&] {
            return std::ranges::all_of(std::vector{&cluster, &other}, [&](auto* each) {
                auto value = engine::postgres::Connection::open(each->url())
                                 .exec("SHOW max_slot_wal_keep_size")
                                 .text(0, 0);
                return (value == "-1") == none;
            });
        });
    };
    ASSERT_TRUE(bound("ALTER SYSTEM SET max_slot_wal_keep_size = -1", true));
    auto unbounded = init({"a=" + cluster.url()});
    EXPECT_EQ(unbounded.code(), 21) << unbounded.text();
    EXPECT_NE(unbounded.err.find("member a: max_slot_wal_keep_size is -1"), std::string::npos)
        << unbounded.text();
    // The data directory was found, not named, and its disk is what the size is measured by.
    EXPECT_NE(unbounded.err.find("half of the"), std::string::npos) << unbounded.text();
    EXPECT_EQ(unbounded.err.find("cannot be seen from here"), std::string::npos);
    auto both = init({"a=" + cluster.url(), "b=" + other.url(), "--json"});
    EXPECT_EQ(both.code(), 21) << both.text();
    for (const std::string name : {"a", "b"}) {
        EXPECT_NE(both.err.find("member " + name + ": max_slot_wal_keep_size is -1"),
                  std::string::npos)
            << both.text();
        auto missing = both.json().at("missing");
        EXPECT_TRUE(std::ranges::any_of(missing, [&](const auto& one) {
            return one.at("member") == name && one.at("check") == "slot_bound" &&
                   !one.at("fix").template get<std::string>().empty();
        })) << both.text();
    }
    EXPECT_TRUE(bound("ALTER SYSTEM RESET max_slot_wal_keep_size", false));
}

TEST_F(CommandsTest, InitOverwritesNothing)
{
    auto init = lab_->init();
    EXPECT_EQ(init.code(), 2) << init.text();
    EXPECT_TRUE(init.explained()) << init.text();
    auto missing = lab_->run({"init"});
    EXPECT_EQ(missing.code(), 0) << missing.text();
    auto version = lab_->tool.run({"version"});
    EXPECT_EQ(version.code(), 0) << version.text();
    EXPECT_NE(version.out.find("repository format 1\n"), std::string::npos) << version.text();
    EXPECT_EQ(lab_->tool.run({"version", "--json"}).json().at("repository_format"), 1);
    EXPECT_EQ(lab_->tool.run({"completion", "bash"}).code(), 0);
    EXPECT_EQ(lab_->tool.run({"no-such-command"}).code(), 2);
}

TEST_F(CommandsTest, ARoleWithoutAPasswordIsSaidToHaveNone)
{
    Tool::Arguments apply{"init", "--apply-sql", "--role", "watcher", "--json"};
    auto made = lab_->run(apply);
    ASSERT_EQ(made.code(), 0) << made.text();
    EXPECT_EQ(made.json().at("members")[0].at("has_password"), false) << made.text();
    apply.pop_back();
    made = lab_->run(apply);
    EXPECT_NE(made.out.find("m0: role watcher has what it needs, but no password"),
              std::string::npos)
        << made.text();
    engine::postgres::Connection::open(lab_->lab.cluster(0).url())
        .exec("ALTER ROLE watcher PASSWORD 'of-this-test'");
    made = lab_->run(apply);
    EXPECT_NE(made.out.find("m0: role watcher has what it needs\n"), std::string::npos)
        << made.text();
}

} // namespace
} // namespace tidemark::support
