// Retention through the program, on real servers and with time that passes by making the repository
// older: what stays restores, what goes is refused with a clear text, whoever else is at work.

#include "app/demo/bank.h"
#include "base/fd.h"
#include "cli/group_lab.h"
#include "repo/json.h"
#include "support/aged_repository.h"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;

class ExpireTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        auto made = lab_.init();
        ASSERT_EQ(made.code(), 0) << made.text();
        auto bytes = base::read_file(lab_.config, 1U << 20);
        std::string config(base::as_text(bytes));
        auto at = config.find("keep = ");
        ASSERT_NE(at, std::string::npos) << config;
        auto end = config.find('\n', at);
        config.replace(at, end - at, "full = \"yearly 01-01 00:00\"\nkeep = { days = 10 }");
        std::ofstream(lab_.config, std::ios::trunc) << config;
        load_.emplace(lab_.bank, lab_.witness);
        load_->start();
    }
    void TearDown() override
    {
        load_.reset();
        stop_restored(lab_.target("r"));
    }

    /// Transfers, and then a mark with that name (or none).
    void mark(const std::string& name)
    {
        lab_.commits(*load_, 30);
        auto run = name.empty() ? ok({"mark", "--json"}) : lab_.mark(name);
        ASSERT_EQ(run.code(), 0) << run.text();
    }
    void backup(const std::string& name)
    {
        lab_.commits(*load_, 30);
        auto run = lab_.backup(name);
        ASSERT_EQ(run.code(), 0) << run.text();
    }
    ToolRun ok(const Tool::Arguments& arguments, int code = 0)
    {
        auto run = lab_.run(arguments);
        EXPECT_EQ(run.code(), code) << run.text();
        return run;
    }
    void age(base::Duration by, const std::function<bool(const std::string& key)>& fresh = {}) const
    {
        age_repository(lab_.repository, by, fresh);
    }
    void verify_is_clean()
    {
        auto run = ok({"verify", "--json"});
        EXPECT_TRUE(run.json().value("faults", json::array()).empty()) << run.text();
    }
    /// Restores, opens, and looks at the bank.
    void restores(const std::string& name, const std::string& to)
    {
        auto run = lab_.restore({"--to", to}, "r");
        ASSERT_TRUE(run.code() == 0 || run.code() == 3) << run.text();
        auto verdict = lab_.check(run, name);
        EXPECT_TRUE(verdict.clean()) << to << ": " << verdict.describe();
        stop_restored(lab_.target("r"));
        fs::remove_all(lab_.target("r"));
    }
    void is_gone(const std::string& to)
    {
        auto run = lab_.run({"restore", "--to", to, "--plan"});
        EXPECT_TRUE(run.code() == 4 || run.code() == 31) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
    }
    std::set<std::string> names_of_marks()
    {
        std::set<std::string> names;
        const auto document = ok({"list", "marks", "--json"}).json();
        for (const auto& mark : document.at("marks"))
            names.insert(mark.value("name", ""));
        return names;
    }
    std::size_t count(const std::string& part) const
    {
        std::size_t found = 0;
        for (const auto& [path, size] : listing(lab_.repository))
            found += size > 0 && path.find(part) != std::string::npos ? 1U : 0U;
        return found;
    }
    /// Starts a command and kills it as soon as `condition` holds; false when it never did.
    bool killed_when(const Tool::Arguments& arguments, const std::function<bool()>& condition)
    {
        auto process = lab_.spawn(arguments);
        bool held = eventually(condition);
        process.kill(SIGKILL);
        auto run = Tool::finish(std::move(process), arguments);
        EXPECT_TRUE(held) << run.text();
        return held;
    }

    /// `expire` without its two minutes of waiting: killed when it has written its tombstone, and
    /// run again when that is old enough.
    json expire_soon(const std::function<bool(const std::string& key)>& fresh = {})
    {
        const Tool::Arguments line{"expire", "--json"};
        auto newest = [&] {
            std::string last;
            for (const auto& [path, size] : listing(lab_.repository))
                if (path.find("/tombstones/0") != path.npos) last = std::max(last, path);
            return last;
        };
        auto before = newest();
        auto process = lab_.spawn(line);
        while (newest() == before) {
            if (process.wait_for(20ms)) break;
        }
        if (newest() == before) {
            auto run = Tool::finish(std::move(process), line);
            EXPECT_EQ(run.code(), 0) << run.text();
            return run.json();
        }
        process.kill(SIGKILL);
        Tool::finish(std::move(process), line);
        age(3min, fresh);
        return ok(line).json();
    }

    GroupLab lab_;
    std::optional<app::Bank> load_;
};

json find(const json& list, const std::string& id)
{
    for (const auto& one : list)
        if (one.at("id") == id) return one;
    return json{{"stays", nullptr}};
}

TEST_F(ExpireTest, WhatStaysRestoresAndWhatGoesIsSaidToBeGone)
{
    // Three fulls with marks that are too old, but for a hold and a proof.
    backup("a");
    mark("a1");
    mark("a2");
    mark(""); // the proof of the next one continues from it, and so on
    backup("held");
    mark("h1");
    mark("");
    backup("proven");
    mark("p1");
    mark("");
    ok({"hold", "held", "--until", "2999-01-01", "--note", "the move"});
    auto longer = ok({"hold", "held", "--json"}).json();
    EXPECT_TRUE(longer.at("until").is_null()) << longer;
    EXPECT_EQ(longer.at("instead_of").at("note"), "the move") << longer;
    auto shorter = lab_.run({"hold", "held", "--until", "2999-01-01"});
    EXPECT_EQ(shorter.code(), 2) << shorter.text();
    EXPECT_TRUE(shorter.explained()) << shorter.text();
    ok({"drill", "--to", "proven"}, drill_passed(lab_.lab.cluster(0)));
    age(8 * 24h);
    // Marks of one hour or two, to be thinned, with small pieces of log, to be joined.
    backup("t");
    for (int i = 0; i < 10; ++i)
        mark("");
    mark("t1");
    age(4 * 24h);
    backup("d");
    auto moment = lab_.moment("moment");
    mark("d1");
    auto recorded = lab_.run({"mark", "--at", base::format_time(moment), "--name", "moment"});
    ASSERT_TRUE(recorded.code() == 0 || recorded.code() == 3) << recorded.text();
    // A moment lies below a mark that was there before it: it is not what "latest" means.
    auto latest = ok({"restore", "--plan", "--json"}).json();
    EXPECT_EQ(latest.at("plan").at("mark").at("name"), "d1") << latest;
    mark("d2");

    auto before = listing(lab_.repository);
    auto plan = ok({"expire", "--plan", "--json"}).json();
    EXPECT_EQ(listing(lab_.repository), before) << "--plan writes nothing";
    EXPECT_EQ(find(plan.at("marks"), "m-1").at("stays"), false) << plan;
    EXPECT_EQ(find(plan.at("backups"), "m0/b-1").at("stays"), false) << plan;
    EXPECT_EQ(find(plan.at("backups"), "m0/b-2").at("stays"), true) << plan;
    EXPECT_EQ(find(plan.at("backups"), "m1/b-3").at("stays"), true) << plan;
    for (const auto& one : plan.at("sets"))
        EXPECT_FALSE(one.at("why").get<std::string>().empty());
    EXPECT_GT(plan.at("objects"), 0);
    auto text = ok({"expire", "--plan"});
    EXPECT_NE(text.out.find("held: the move"), std::string::npos) << text.text();
    EXPECT_NE(text.out.find("the newest proven mark"), std::string::npos) << text.text();

    // Killed between the tombstone and the removal; another one, and a late hold, meanwhile.
    auto process = lab_.spawn({"expire"});
    ASSERT_TRUE(eventually([&] { return count("/tombstones/0") > 0; }));
    auto second = lab_.run({"expire"});
    EXPECT_EQ(second.code(), 11) << second.text();
    EXPECT_TRUE(second.explained()) << second.text();
    auto late = lab_.run({"hold", "a1"});
    EXPECT_EQ(late.code(), 4) << late.text();
    EXPECT_TRUE(late.explained()) << late.text();
    process.kill(SIGKILL);
    Tool::finish(std::move(process), {"expire"});
    verify_is_clean();
    EXPECT_TRUE(names_of_marks().contains("a1"));

    // The tombstone is old enough now: killed in the middle of removing commit objects.
    age(3min);
    auto sets = count("/sets/");
    // An hour may have ended since, so that more goes and a tombstone of its own is waited for.
    for (int attempt = 0; attempt < 3 && count("/sets/") >= sets; ++attempt) {
        auto stones = count("/tombstones/0");
        killed_when({"expire"},
                    [&] { return count("/sets/") < sets || count("/tombstones/0") > stones; });
        if (count("/sets/") >= sets) age(3min);
    }
    EXPECT_LT(count("/sets/"), sets);
    verify_is_clean();
    // What is gone lets more go: that gets a tombstone of its own.
    auto third = expire_soon();
    EXPECT_GT(third.at("waiting"), 0) << third;
    auto names = names_of_marks();
    for (const auto* name : {"a", "a1", "a2", "h1", "p1"})
        EXPECT_FALSE(names.contains(name)) << name;
    for (const auto* name : {"held", "proven", "t", "t1", "d", "d1", "d2", "moment"})
        EXPECT_TRUE(names.contains(name)) << name;
    is_gone("a1");
    is_gone("m-1");
    EXPECT_GT(count("m0/packs/0000000001-"), 0U) << "data stays through its grace";
    EXPECT_EQ(count("/backups/0000000001/manifest"), 0U);
    verify_is_clean();

    // The next day: data, killed in the middle again.
    age(25h);
    auto pieces = count("/log/");
    killed_when({"expire"}, [&] { return count("/log/") < pieces; });
    verify_is_clean();
    expire_soon();
    age(25h);
    expire_soon();
    EXPECT_EQ(count("m0/packs/0000000001-"), 0U);
    EXPECT_GT(count("m0/packs/0000000002-"), 0U);
    EXPECT_GT(count("/joined/"), 0U);
    EXPECT_LT(count("/log/"), pieces);
    verify_is_clean();

    load_->stop();
    restores("held", "held");
    restores("proven", "proven");
    restores("t1", "t1"); // across joined pieces, from the full before the thinned marks
    restores("moment", "moment");
    restores("d2", "latest");

    // Released, it goes like the others.
    ok({"release", "held"});
    expire_soon();
    age(25h);
    expire_soon();
    is_gone("held");
    EXPECT_EQ(count("m0/packs/0000000002-"), 0U);
    verify_is_clean();
}

/// As a later version of the program might write one.
void write_newer_tombstone(const fs::path& path)
{
    fs::path known;
    for (const auto& entry : fs::directory_iterator(path.parent_path()))
        known = entry.path();
    auto bytes = base::read_file(known, 64U << 20);
    std::string text(base::as_text(bytes));
    auto at = text.find("\"format\": 1");
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, 11, "\"format\": 9");
    text.replace(text.size() - repo::kCheckFromEnd, 64, repo::json_check(base::as_bytes(text)));
    std::ofstream(path, std::ios::binary) << text;
}

TEST_F(ExpireTest, RunDoesItAfterwardsAndNeverFailsOfIt)
{
    auto first = ok({"run", "--json"}).json();
    EXPECT_TRUE(first.at("full").get<bool>());
    ASSERT_TRUE(first.at("retention").is_object()) << first;
    EXPECT_EQ(first.at("retention").at("removed"), 0);
    EXPECT_TRUE(ok({"run", "--json"}).json().at("retention").is_null()) << "once an hour";
    backup("old");
    age(12 * 24h);
    backup("new");
    auto named = ok({"run", "--json"}).json();
    EXPECT_GT(named.at("retention").at("waiting"), 0) << named;
    age(2h);
    auto commits = ok({"run", "--json"}).json();
    EXPECT_GT(commits.at("retention").at("removed"), 0) << commits;
    EXPECT_GT(count("m0/packs/0000000001-"), 0U);
    age(25h);
    auto data = ok({"run", "--json"}).json();
    EXPECT_GT(data.at("retention").at("removed_bytes"), 1 << 20) << data;
    EXPECT_EQ(count("m0/packs/0000000001-"), 0U);
    auto runs = ok({"list", "runs", "--json"}).json().at("runs");
    auto shown = ok({"show", runs.at(0).at("id").get<std::string>(), "--json"}).json();
    EXPECT_EQ(shown.at("run").at("retention"), data.at("retention")) << shown;
    verify_is_clean();

    // Retention cannot work: the mark is placed all the same, and somebody hears of it.
    age(2h);
    auto newer = lab_.repository / "groups/shop/tombstones/0000009999";
    write_newer_tombstone(newer);
    auto warned = ok({"run", "--json"}, 3);
    EXPECT_NE(warned.err.find("the backup is good, but retention failed"), std::string::npos)
        << warned.text();
    fs::remove(newer);
    load_->stop();
    auto mark = warned.json().at("mark").at("id").get<std::string>();
    EXPECT_EQ(ok({"restore", "--plan", "--json"}).json().at("plan").at("mark").at("id"), mark);
    restores("new", "new");
}

TEST_F(ExpireTest, ARestoreUnderWayKeepsWhatItReads)
{
    backup("old");
    mark("old1");
    age(12 * 24h);
    backup("new");
    load_->stop();
    // It stops in the middle, for days, and says from time to time that it is there.
    Tool::Arguments arguments{"restore", "--to",   "old1", "--dir", lab_.target("r").string(),
                              "--json",  "--start"};
    auto process = lab_.spawn(arguments);
    ASSERT_TRUE(eventually([&] { return fs::exists(lab_.target("r") / "m0/data/base"); }));
    EXPECT_EQ(count("/intents/0"), 1U);
    ::kill(process.pid(), SIGSTOP);
    auto plan = ok({"expire", "--plan"});
    EXPECT_NE(plan.out.find("`restore` on "), std::string::npos) << plan.text();
    auto packs = count("/packs/0000000001-");
    ASSERT_GT(packs, 0U);
    auto announced = [](const std::string& key) { return key.find("/intents/") != key.npos; };
    for (int day = 0; day < 3; ++day) {
        expire_soon(announced);
        age(25h, announced);
        EXPECT_EQ(count("/packs/0000000001-"), packs);
    }
    ::kill(process.pid(), SIGCONT);
    auto run = Tool::finish(std::move(process), arguments);
    ASSERT_TRUE(run.code() == 0 || run.code() == 3) << run.text();
    auto verdict = lab_.check(run, "old1");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    // It has ended: now its time is over, unless it left nothing open and so proved its mark: the
    // newest proven one stays.
    expire_soon();
    age(25h);
    expire_soon();
    auto after = ok({"expire", "--plan"});
    if (after.out.find("the newest proven mark") != std::string::npos) {
        EXPECT_EQ(count("/packs/0000000001-"), packs) << after.text();
    } else {
        EXPECT_EQ(count("/packs/0000000001-"), 0U) << after.text();
        is_gone("m-2");
    }
    verify_is_clean();
}

} // namespace
} // namespace tidemark::support
