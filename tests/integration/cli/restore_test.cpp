// A restore that is disturbed: killed at any moment, sent to places that are taken, with work in
// doubt that nobody can judge. All members are opened, or none.

#include "cli/shared_group.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class RestoreTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            // Prepared before our log begins: nobody can know their verdict.
            app::leave_orphans(lab_->bank, lab_->witness, 1, false);
            must(lab_->init());
            back_up_under_load({.before = 50, .after = 200});
            must(lab_->mark("last"));
            auto plan = must(lab_->run({"restore", "--plan", "--json"}));
            in_doubt_ = plan.json().at("plan").at("in_doubt");
            ASSERT_EQ(in_doubt_.size(), 2U) << in_doubt_;
        });
    }

    void TearDown() override
    {
        stop_restored(dir());
        fs::remove_all(dir());
    }

    static fs::path dir() { return lab_->target("r"); }
    /// The operator's word about the orphans.
    static fs::path decisions(const std::string& verdict)
    {
        auto path = lab_->folder() / "decisions";
        std::ofstream file(path, std::ios::trunc);
        file << "# by hand\n";
        for (const auto& one : in_doubt_) {
            file << one.at("member").get<std::string>() << ' ' << one.at("gid").get<std::string>()
                 << ' ' << verdict << '\n';
        }
        return path;
    }
    static void expect_whole(const ToolRun& run, std::uint64_t in_doubt)
    {
        auto verdict = lab_->check(run, "last");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        EXPECT_EQ(verdict.in_doubt, in_doubt) << verdict.describe();
    }

    static nlohmann::json in_doubt_;
};

nlohmann::json RestoreTest::in_doubt_;

TEST_F(RestoreTest, WhatNobodyKnowsIsKeptUntilTheOperatorDecides)
{
    auto plan = lab_->run({"restore", "--plan"});
    EXPECT_NE(plan.out.find("unknown: m0 "), std::string::npos) << plan.text();
    EXPECT_NE(plan.out.find("ends with exit code 3"), std::string::npos) << plan.text();
    auto wrong = lab_->folder() / "wrong";
    std::ofstream(wrong) << "m0 gid maybe\n\nm0\n";
    auto refused = lab_->restore({"--decisions", wrong.string()}, "r");
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_NE(refused.err.find("wrong:1"), std::string::npos) << refused.text();
    EXPECT_NE(refused.err.find("wrong:3"), std::string::npos) << refused.text();
    EXPECT_FALSE(fs::exists(dir()));
    auto kept = lab_->restore({}, "r");
    EXPECT_EQ(kept.code(), 3) << kept.text();
    EXPECT_TRUE(kept.json().at("report").at("unsettled").get<bool>());
    expect_whole(kept, 2);
    auto again = lab_->restore({}, "r");
    EXPECT_EQ(again.code(), 30) << again.text();
    EXPECT_NE(again.err.find("--decisions"), std::string::npos) << again.text();
    // As the recovery sheet says: the same command once more.
    auto settled = lab_->restore({"--decisions", decisions("commit").string()}, "r");
    EXPECT_EQ(settled.code(), 0) << settled.text();
    expect_whole(settled, 0);
}

// rule 5
TEST_F(RestoreTest, OneTransactionIsNotDecidedInTwoWays)
{
    ASSERT_EQ(in_doubt_.at(0).at("global_id"), in_doubt_.at(1).at("global_id"));
    auto words = lab_->folder() / "words";
    auto say = [&](const std::vector<std::pair<std::size_t, std::string>>& lines) {
        std::ofstream file(words, std::ios::trunc);
        for (const auto& [i, verdict] : lines)
            file << in_doubt_.at(i).at("member").get<std::string>() << ' '
                 << in_doubt_.at(i).at("gid").get<std::string>() << ' ' << verdict << '\n';
    };
    auto refused = [&](Tool::Arguments line, const std::vector<std::string>& wanted) {
        line.insert(line.end(), {"--decisions", words.string()});
        auto run = lab_->run(line);
        EXPECT_EQ(run.code(), 2) << run.text();
        for (const auto& text : wanted)
            EXPECT_NE(run.err.find(text), std::string::npos) << text << '\n' << run.text();
    };
    const Tool::Arguments restore{"restore", "--dir", dir().string()};
    say({{0, "commit"}, {1, "rollback"}});
    for (const auto& line :
         std::vector<Tool::Arguments>{{"restore", "--plan"},
                                      {"restore", "--plan", "--dir", dir().string()},
                                      restore,
                                      {"drill", "--dir", lab_->folder().string()}})
        refused(line, {"words:1", "words:2"});
    std::ofstream(words, std::ios::trunc) << "m0 nobody commit\n";
    refused({"restore", "--plan"}, {"words:1", "nothing of that name"});
    fs::remove(words);
    refused(restore, {"--decisions " + words.string()});
    EXPECT_FALSE(fs::exists(dir()));

    say({{0, "commit"}});
    auto plan = lab_->run({"restore", "--plan", "--decisions", words.string()});
    EXPECT_EQ(plan.code(), 0) << plan.text();
    EXPECT_NE(plan.out.find("commit, as --decisions says"), std::string::npos) << plan.text();
    auto half = lab_->restore({"--decisions", words.string()}, "r");
    EXPECT_EQ(half.code(), 3) << half.text();
    say({{1, "rollback"}});
    refused(restore, {"was committed here before", "words:1"});
    say({{1, "commit"}});
    auto whole = lab_->restore({"--decisions", words.string()}, "r");
    EXPECT_EQ(whole.code(), 0) << whole.text();
    expect_whole(whole, 0);
}

TEST_F(RestoreTest, KeepLeavesEverythingPrepared)
{
    auto run =
        lab_->restore({"--in-doubt", "keep", "--decisions", decisions("commit").string()}, "r");
    EXPECT_EQ(run.code(), 3) << run.text();
    expect_whole(run, 2);
    // rule 29: the server's account can plant nothing where we work.
    std::vector<std::string> all_ours{"m0", "m0/tidemark", "m0/tidemark/promote.conf",
                                      "m0/tidemark/state.json"};
    // A server of another account gets a copy of our program, which it may not be able to reach.
    if (::geteuid() == 0) all_ours.emplace_back("m0/tidemark/fetch-log");
    for (const auto& ours : all_ours) {
        struct stat info = {};
        ASSERT_EQ(::stat((dir() / ours).c_str(), &info), 0) << ours;
        EXPECT_EQ(info.st_uid, ::geteuid()) << ours;
        EXPECT_EQ(info.st_mode & 0022U, 0U) << ours;
    }
}

TEST_F(RestoreTest, ForceReplacesARestoreAndNothingElse)
{
    auto line = [&](Tool::Arguments more) {
        more.insert(more.begin(), {"restore", "--dir", dir().string(), "--json"});
        more.insert(more.end(), {"--decisions", decisions("rollback").string()});
        return lab_->run(more);
    };
    auto first = line({"--to", "base"});
    ASSERT_EQ(first.code(), 0) << first.text();
    std::ofstream(dir() / "m1/precious") << "data";
    auto again = line({"--to", "base"});
    EXPECT_EQ(again.code(), 30) << again.text();
    EXPECT_NE(again.err.find("handed over"), std::string::npos) << again.text();
    auto other = line({});
    EXPECT_EQ(other.code(), 30) << other.text();
    EXPECT_NE(other.err.find("--force"), std::string::npos) << other.text();
    auto discard = line({"--discard"});
    EXPECT_EQ(discard.code(), 30) << discard.text();
    auto plan = line({"--plan", "--force"});
    EXPECT_EQ(plan.code(), 0) << plan.text();
    EXPECT_EQ(plan.json().at("removes").size(), 4U) << plan.text();
    EXPECT_EQ(plan.json().at("removes").at(0), (dir() / "m0/data").string()) << plan.text();
    EXPECT_TRUE(fs::exists(dir() / "m0/data/PG_VERSION"));

    auto forced = line({"--force", "--start"});
    ASSERT_EQ(forced.code(), 0) << forced.text();
    expect_whole(forced, 0);
    EXPECT_TRUE(fs::exists(dir() / "m1/precious"));
    // It runs now: nothing removes it.
    for (const auto& how : std::vector<Tool::Arguments>{{"--force"}, {"--discard", "--force"}}) {
        auto refused = line(how);
        EXPECT_EQ(refused.code(), 30) << refused.text();
        EXPECT_NE(refused.err.find("runs in"), std::string::npos) << refused.text();
    }
    expect_whole(forced, 0);
    stop_restored(dir());
    auto discarded = line({"--discard", "--force"});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
    EXPECT_TRUE(fs::is_empty(dir() / "m0"));
    EXPECT_EQ(listing(dir() / "m1").size(), 1U);
}

TEST_F(RestoreTest, AServerThatRunsInTheTargetIsNeverOverwritten)
{
    auto data = lab_->lab.cluster(0).data_dir();
    for (const auto& place : {data, data.parent_path()}) {
        for (const auto& how : {"--force", "--discard"}) {
            auto run = lab_->restore({how, "--force", "--map", "m0=" + place.string()}, "r");
            EXPECT_EQ(run.code(), 30) << run.text();
            EXPECT_TRUE(run.explained()) << run.text();
        }
    }
    EXPECT_EQ(lab_->run({"log"}).code(), 0);
}

TEST_F(RestoreTest, PlacesThatAreTakenAreRefusedBeforeAnythingIsWritten)
{
    auto live = lab_->lab.cluster(0).data_dir();
    auto refused = [&](const Tool::Arguments& line, int code) {
        for (bool plan : {true, false}) {
            auto now = line;
            now.insert(now.begin(), "restore");
            if (plan) now.emplace_back("--plan");
            auto run = lab_->run(now);
            EXPECT_EQ(run.code(), code) << run.text();
            EXPECT_TRUE(run.explained()) << run.text();
        }
    };
    refused({"--dir", live.string()}, 30);
    refused({"--dir", (live / "base/new").string()}, 30);
    refused({"--dir", (lab_->repository / "x").string()}, 2);
    auto here = [&](const char* name) { return (dir() / name).string(); };
    refused({"--map", "m0=" + here("x"), "--map", "m1=" + here("x")}, 2);
    refused({"--map", "m0=" + here("x"), "--map", "m1=" + here("x/data")}, 2);
    refused({"--map", "m0=" + here("x"), "--map", "m0=" + here("y"), "--dir", here("z")}, 2);
    refused({"--dir", here("z"), "--tablespace", "m0:99=" + here("ts")}, 2);
    refused({"--dir", here("z"), "--tablespace", "z:1663=" + here("ts")}, 2);
    auto drill = lab_->run({"drill", "--dir", live.string()});
    EXPECT_EQ(drill.code(), 30) << drill.text();
    EXPECT_FALSE(fs::exists(dir()));
    EXPECT_FALSE(fs::exists(live / "m0"));
    EXPECT_FALSE(fs::exists(lab_->repository / "x"));
}

TEST_F(RestoreTest, OneMemberThatCannotBeWrittenKeepsAllClosed)
{
    fs::create_directories(lab_->folder() / "blocked");
    std::ofstream(lab_->folder() / "blocked/file") << "in the way";
    auto in_the_way = "m1=" + (lab_->folder() / "blocked/file/m1").string();
    auto run = lab_->restore({"--map", in_the_way}, "r");
    EXPECT_NE(run.code(), 0) << run.text();
    EXPECT_NE(run.err.find("m1"), std::string::npos) << run.text();
    EXPECT_FALSE(any_server_runs(dir()));
    auto discarded = lab_->run({"restore", "--discard", "--dir", dir().string()});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
    auto good = lab_->restore({"--decisions", decisions("commit").string()}, "r");
    EXPECT_EQ(good.code(), 0) << good.text();
    expect_whole(good, 0);
}

TEST_F(RestoreTest, DiscardGivesUpARestoreThatWasKilled)
{
    Tool::Arguments arguments{"restore", "--dir", dir().string(), "--json"};
    auto process = lab_->spawn(arguments);
    auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!fs::exists(dir() / "m0/data/PG_VERSION") && process.running() &&
           std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(2ms);
    process.kill(SIGKILL);
    process.wait();
    auto other = lab_->restore({"--to", "base"}, "r");
    EXPECT_EQ(other.code(), 30) << other.text();
    EXPECT_NE(other.err.find("--discard"), std::string::npos) << other.text();
    auto discarded = lab_->run({"restore", "--discard", "--dir", dir().string()});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
    for (const auto& member : {"m0", "m1"})
        EXPECT_TRUE(!fs::exists(dir() / member) || fs::is_empty(dir() / member)) << member;
    EXPECT_FALSE(any_server_runs(dir()));
}

/// The phase that one member's state file tells; empty without one.
std::string phase_of(const fs::path& folder)
{
    std::ifstream file(folder / "tidemark/state.json");
    auto state = nlohmann::json::parse(file, nullptr, false);
    return state.is_object() ? state.value("phase", "") : "";
}

/// Each phase in turn: as soon as one member has entered it, the program is killed.
TEST_F(RestoreTest, KilledInEachPhaseTheSameCommandGoesOn)
{
    Tool::Arguments line{"restore", "--decisions",  decisions("commit").string(),
                         "--dir",   dir().string(), "--json",
                         "--start"};
    std::vector<std::string> phases{"writing",  "written",  "at_mark", "claimed",
                                    "promoted", "compared", "settled"};
    std::set<std::string> killed_in;
    for (std::size_t wanted = 0; wanted < phases.size(); ++wanted) {
        auto process = lab_->spawn(line);
        std::string seen;
        bool reached = eventually([&] {
            for (const auto& member : {"m0", "m1"}) {
                auto at = std::find(phases.begin(), phases.end(), phase_of(dir() / member));
                if (at == phases.end() || at - phases.begin() < static_cast<long>(wanted)) continue;
                seen = *at;
                return true;
            }
            return !process.running();
        });
        EXPECT_TRUE(reached);
        if (!process.running()) {
            FAIL() << "it ended before " << phases[wanted] << ": " << process.err();
        }
        process.kill(SIGKILL);
        process.wait();
        killed_in.insert(seen);
        // Killed before all stood at the mark: nobody may have been promoted.
        if (wanted <= 1) {
            for (const auto& member : {"m0", "m1"}) {
                auto phase = phase_of(dir() / member);
                EXPECT_TRUE(phase.empty() || phase == "writing" || phase == "written" ||
                            phase == "at_mark")
                    << phase;
            }
        }
    }
    EXPECT_GE(killed_in.size(), 4U);
    auto run = lab_->run(line);
    ASSERT_TRUE(run.code() == 0 || run.code() == 3) << run.text();
    expect_whole(run, 0);
}

TEST_F(RestoreTest, KilledAtAnyMomentTheSameCommandGoesOn)
{
    const char* fixed = std::getenv("TIDEMARK_SEED");
    std::uint32_t seed =
        fixed != nullptr ? static_cast<std::uint32_t>(std::atoi(fixed)) : std::random_device{}();
    SCOPED_TRACE(fmt::format("TIDEMARK_SEED={}", seed));
    std::mt19937 random(seed);
    // How long one takes that nobody kills; it hands over stopped, which is a little sooner.
    auto begin = std::chrono::steady_clock::now();
    auto left_alone = dir().native() + "-left-alone";
    auto whole = lab_->run(
        {"restore", "--decisions", decisions("commit").string(), "--dir", left_alone, "--json"});
    ASSERT_TRUE(whole.code() == 0 || whole.code() == 3) << whole.text();
    std::uniform_int_distribution<std::int64_t> moment{
        0, std::chrono::nanoseconds{std::chrono::steady_clock::now() - begin}.count() * 3 / 4};
    Tool::Arguments line{"restore", "--decisions",  decisions("commit").string(),
                         "--dir",   dir().string(), "--json",
                         "--start"};
    int killed = 0;
    for (int round = 0; round < 6; ++round) {
        auto process = lab_->spawn(line);
        if (process.wait_for(std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::nanoseconds{moment(random)})))
            break;
        process.kill(SIGKILL);
        process.wait();
        ++killed;
    }
    EXPECT_GT(killed, 0);
    auto run = lab_->run(line);
    if (run.code() == 30) {
        // It had handed over just before the last kill; what it left must be whole all the same.
        EXPECT_NE(run.err.find("handed over already"), std::string::npos) << run.text();
        return;
    }
    ASSERT_TRUE(run.code() == 0 || run.code() == 3) << run.text();
    expect_whole(run, 0);
}

TEST_F(RestoreTest, TwoRestoresDoNotMixInOneFolder)
{
    Tool::Arguments line{"restore", "--dir", dir().string(), "--json"};
    auto first = lab_->spawn(line);
    ASSERT_TRUE(eventually([&] { return !phase_of(dir() / "m1").empty(); }));
    first.kill(SIGSTOP);
    auto second = lab_->run(line);
    EXPECT_EQ(second.code(), 11) << second.text();
    EXPECT_TRUE(second.explained()) << second.text();
    first.kill(SIGKILL);
    first.wait();
    auto discarded = lab_->run({"restore", "--discard", "--dir", dir().string()});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
}

} // namespace
} // namespace tidemark::support
