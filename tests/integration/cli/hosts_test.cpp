// A restore whose members come up on several hosts: here two folders, one with a configuration, the
// other with nothing but the repository. They meet in the repository alone.

#include "base/fd.h"
#include "cli/shared_group.h"
#include "cli/stranger.h"
#include "engine/postgres/pq.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;
using nlohmann::json;
using namespace std::chrono_literals;

class HostsTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            app::leave_orphans(lab_->bank, lab_->witness, 1, false); // nobody knows their verdict
            use_up_transaction_ids();
            must(lab_->init());
            // Decided: committed at the first member, in doubt at the second.
            app::leave_orphans(lab_->bank, lab_->witness, 1, true);
            back_up_under_load({.before = 50, .after = 200});
            must(lab_->mark("last"));
            auto plan = must(lab_->run({"restore", "--plan", "--json"}));
            const auto document = plan.json();
            for (const auto& one : document.at("plan").at("in_doubt"))
                if (one.at("verdict") == "unknown") unknown_.push_back(one);
            ASSERT_EQ(unknown_.size(), 2U) << json(unknown_);
        });
    }

    /// More than one file of pg_commit_ts has room for (26,208): a server that tracks commit
    /// timestamps, though they were off, has none for the orphans, and panics when they commit.
    static void use_up_transaction_ids()
    {
        for (std::size_t i = 0; i < 2; ++i) {
            auto sql = Connection::open(lab_->lab.cluster(i).conninfo());
            sql.exec("SET synchronous_commit = off");
            sql.exec("DO $$BEGIN FOR i IN 1..27000 LOOP PERFORM pg_catalog.txid_current(); COMMIT; "
                     "END LOOP; END$$");
        }
    }

    void TearDown() override
    {
        for (const char* host : {"a", "b", "c"}) {
            stop_restored(dir(host));
            fs::remove_all(dir(host));
        }
        auto list = lab_->run({"list", "restores", "--json"});
        const auto document = list.json();
        for (const auto& one : document.at("restores"))
            if (one.at("ended").is_null())
                lab_->run({"restore", "--forget", one.at("id").get<std::string>()});
    }

    static fs::path dir(const std::string& host) { return lab_->target(host); }
    /// Host "a" has the configuration; the others name the repository.
    static ToolRun on(const std::string& host, Tool::Arguments more)
    {
        return host == "a" ? lab_->run(line(host, std::move(more)))
                           : lab_->tool.run(line(host, std::move(more)));
    }
    static base::Process spawn_on(const std::string& host, Tool::Arguments more)
    {
        return host == "a" ? lab_->spawn(line(host, std::move(more)))
                           : lab_->tool.spawn(line(host, std::move(more)));
    }
    static Tool::Arguments line(const std::string& host, Tool::Arguments more)
    {
        more.insert(more.begin(), {"restore", "--json", "--dir", dir(host).string()});
        if (host != "a") more.insert(more.end(), {"--repo", lab_->repository.string()});
        return more;
    }
    static Tool::Arguments open(Tool::Arguments more = {})
    {
        more.insert(more.end(), {"--open", "--start"});
        return more;
    }
    static fs::path decisions(const std::string& verdict)
    {
        auto path = lab_->folder() / ("decisions-" + verdict);
        std::ofstream file(path, std::ios::trunc);
        for (const auto& one : unknown_)
            file << one.at("member").get<std::string>() << ' ' << one.at("gid").get<std::string>()
                 << ' ' << verdict << '\n';
        return path;
    }
    static bool runs(const fs::path& member) { return server_runs(member / "data"); }
    static json restores()
    {
        return lab_->run({"list", "restores", "--json"}).json().at("restores");
    }
    static std::string state_of(const json& restore, const std::string& member)
    {
        for (const auto& one : restore.at("members"))
            if (one.at("name") == member) return one.at("state");
        return "?";
    }
    /// The bank with one member from each run.
    static void expect_whole(const ToolRun& m0, const ToolRun& m1, std::uint64_t in_doubt)
    {
        auto bank = lab_->restored_bank(m0);
        bank.members.at(1) = lab_->restored_bank(m1).members.at(1);
        auto verdict = lab_->check(bank, "last");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        EXPECT_EQ(verdict.in_doubt, in_doubt) << verdict.describe();
    }

    static std::vector<json> unknown_;
};

std::vector<json> HostsTest::unknown_;

TEST_F(HostsTest, EachHostBringsItsMemberAndOpensItWhenAllAreThere)
{
    auto first = on("a", {"--only", "m0"});
    ASSERT_EQ(first.code(), 0) << first.text();
    auto restore = first.json().at("restore");
    EXPECT_EQ(restore.at("missing"), json::array({"m1"})) << first.text();
    EXPECT_EQ(state_of(restore, "m0"), "at_mark") << first.text();
    EXPECT_EQ(state_of(restore, "m1"), "not_begun") << first.text();
    EXPECT_FALSE(runs(dir("a") / "m0"));

    auto early = on("a", open());
    EXPECT_EQ(early.code(), 21) << early.text();
    EXPECT_TRUE(early.explained()) << early.text();
    for (const char* word : {"m1 was not begun", "--only m1", "--to m-"})
        EXPECT_NE(early.err.find(word), std::string::npos) << word << early.text();
    EXPECT_FALSE(runs(dir("a") / "m0"));
    // As a restore of its own it is not opened either.
    auto whole = on("a", {});
    EXPECT_EQ(whole.code(), 30) << whole.text();
    EXPECT_NE(whole.err.find("--open"), std::string::npos) << whole.text();

    auto second = on("b", {"--only", "m1"});
    ASSERT_EQ(second.code(), 0) << second.text();
    EXPECT_TRUE(second.json().at("restore").at("missing").empty()) << second.text();
    EXPECT_EQ(second.json().at("restore").at("id"), restore.at("id"));
    // What was promised is kept, whoever asks again.
    EXPECT_EQ(on("b", {"--only", "m1"}).code(), 0);

    auto words = on("a", open({"--decisions", decisions("commit").string()}));
    ASSERT_EQ(words.code(), 0) << words.text();
    EXPECT_FALSE(words.json().contains("drill")) << "one member does not prove the mark";
    // The other host has another opinion, and is told; without one it takes the first.
    auto contrary = on("b", open({"--decisions", decisions("rollback").string()}));
    EXPECT_EQ(contrary.code(), 2) << contrary.text();
    EXPECT_FALSE(runs(dir("b") / "m1"));
    auto last = on("b", open());
    ASSERT_EQ(last.code(), 0) << last.text();
    expect_whole(words, last, 0);
    EXPECT_EQ(last.json().at("restore").at("state"), "opened") << last.text();
    EXPECT_TRUE(last.json().contains("drill")) << "both together do: " << last.text();
    auto marks = lab_->run({"list", "marks", "--json"}).json().at("marks");
    EXPECT_EQ(marks.at(0).at("proven").at("kind"), "restore") << marks.at(0);
    // And again: nothing is left to do.
    auto again = on("a", open());
    EXPECT_EQ(again.code(), 0) << again.text();
    expect_whole(words, last, 0);
}

TEST_F(HostsTest, TheNextCommandFindsAMemberThatLiesElsewhere)
{
    auto place = (dir("a") / "elsewhere").string();
    auto first = on("a", {"--only", "m0", "--map", "m0=" + place});
    ASSERT_EQ(first.code(), 0) << first.text();
    auto next = first.json().at("restore").at("next").dump();
    EXPECT_NE(next.find("--open --map m0="), std::string::npos) << next;
    EXPECT_NE(next.find("elsewhere"), std::string::npos) << next;
    // It is found, and waits for the other one.
    auto early = lab_->run({"restore", "--open", "--map", "m0=" + place});
    EXPECT_EQ(early.code(), 21) << early.text();
}

TEST_F(HostsTest, ASecondHostThatSaysLatestJoinsOrIsTold)
{
    auto first = on("b", {"--only", "m1", "--to", "base"});
    ASSERT_EQ(first.code(), 0) << first.text();
    auto id = first.json().at("restore").at("id").get<std::string>();
    auto mark = first.json().at("restore").at("mark").get<std::string>();
    auto told = on("a", {"--only", "m0"});
    EXPECT_EQ(told.code(), 2) << told.text();
    EXPECT_TRUE(told.explained()) << told.text();
    for (const auto& word : {id, "--to " + mark, std::string("--forget")})
        EXPECT_NE(told.err.find(word), std::string::npos) << word << told.text();
    EXPECT_FALSE(fs::exists(dir("a") / "m0/data"));
    auto joined = on("a", {"--only", "m0", "--to", mark});
    ASSERT_EQ(joined.code(), 0) << joined.text();
    EXPECT_EQ(joined.json().at("restore").at("id"), id);
    // The same line as before goes on with it, whatever is newest by now.
    auto again = on("a", {"--only", "m0"});
    EXPECT_EQ(again.code(), 0) << again.text();
    EXPECT_EQ(again.json().at("restore").at("mark"), mark);
    // Given up: what lies there is opened by nobody.
    EXPECT_EQ(lab_->run({"restore", "--forget", id}).code(), 0);
    EXPECT_EQ(lab_->run({"restore", "--forget", id}).code(), 2);
    auto late = on("a", open());
    EXPECT_EQ(late.code(), 2) << late.text();
    EXPECT_FALSE(runs(dir("a") / "m0"));
    auto removed = on("a", {"--discard"});
    EXPECT_EQ(removed.code(), 0) << removed.text();
    EXPECT_FALSE(fs::exists(dir("a") / "m0/data"));
}

TEST_F(HostsTest, ACopyIsReplacedOnlyOnPurposeAndTheOldOneStaysClosed)
{
    ASSERT_EQ(on("a", {"--only", "m0"}).code(), 0);
    ASSERT_EQ(on("b", {"--only", "m1"}).code(), 0);
    auto taken = on("c", {"--only", "m1"});
    EXPECT_EQ(taken.code(), 2) << taken.text();
    EXPECT_NE(taken.err.find("--instead"), std::string::npos) << taken.text();
    auto instead = on("c", {"--only", "m1", "--instead"});
    ASSERT_EQ(instead.code(), 0) << instead.text();
    auto old = on("b", open());
    EXPECT_EQ(old.code(), 2) << old.text();
    EXPECT_NE(old.err.find("does not count"), std::string::npos) << old.text();
    EXPECT_FALSE(runs(dir("b") / "m1"));
    auto removed = on("b", {"--discard"});
    EXPECT_EQ(removed.code(), 0) << removed.text();
    auto last = on("c", open());
    EXPECT_EQ(last.code(), 3) << last.text(); // the orphans
    auto first = on("a", open());
    EXPECT_EQ(first.code(), 3) << first.text();
    expect_whole(first, last, 2);
    EXPECT_FALSE(first.json().contains("drill")) << "something was kept prepared";
    // Nothing new: nothing is done, and what is kept is said.
    auto again = on("a", open());
    EXPECT_EQ(again.code(), 3) << again.text();
    EXPECT_NE(again.err.find("--decisions"), std::string::npos) << again.text();
    EXPECT_FALSE(again.json().contains("report")) << again.text();
    // The operator's word on one host, taken over by the other; both are open by now.
    auto told = on("c", open({"--decisions", decisions("rollback").string()}));
    EXPECT_EQ(told.code(), 0) << told.text();
    auto follows = on("a", open());
    EXPECT_EQ(follows.code(), 0) << follows.text();
    EXPECT_TRUE(follows.json().contains("drill")) << follows.text();
    expect_whole(follows, told, 0);
    EXPECT_EQ(on("a", open()).code(), 0);
}

TEST_F(HostsTest, DiscardTakesTheReportBack)
{
    ASSERT_EQ(on("a", {"--only", "m0"}).code(), 0);
    ASSERT_EQ(on("b", {"--only", "m1"}).code(), 0);
    ASSERT_EQ(on("b", {"--discard", "--only", "m1"}).code(), 0);
    auto early = on("a", open());
    EXPECT_EQ(early.code(), 21) << early.text();
    ASSERT_EQ(on("a", {"--discard"}).code(), 0);
    EXPECT_EQ(restores().at(0).at("state"), "given up");
}

TEST_F(HostsTest, AMemberThatFailsSaysWhyToTheOthers)
{
    ASSERT_EQ(on("b", {"--only", "m1"}).code(), 0);
    fs::create_directories(dir("a"));
    fs::create_directories(lab_->folder() / "preloaded");
    auto failed = on("a", {"--only", "m0", "--preload", "no_such_library"});
    EXPECT_NE(failed.code(), 0) << failed.text();
    auto early = on("b", open());
    EXPECT_EQ(early.code(), 21) << early.text();
    EXPECT_NE(early.err.find("m0"), std::string::npos) << early.text();
    EXPECT_FALSE(runs(dir("b") / "m1"));
    auto good = on("a", {"--only", "m0"});
    EXPECT_EQ(good.code(), 0) << good.text();
    auto b = on("b", open());
    auto a = on("a", open());
    expect_whole(a, b, 2);
}

TEST_F(HostsTest, AloneAMemberIsOpenedAndTheGroupIsNotConsistent)
{
    auto alone = on(
        "b", {"--only", "m1", "--alone", "--start", "--decisions", decisions("commit").string()});
    EXPECT_EQ(alone.code(), 3) << alone.text();
    EXPECT_NE(alone.err.find("NOT CONSISTENT"), std::string::npos) << alone.text();
    EXPECT_TRUE(runs(dir("b") / "m1"));
    EXPECT_FALSE(fs::exists(dir("b") / "m0"));
    EXPECT_FALSE(alone.json().contains("drill"));
    for (const auto& one : restores())
        EXPECT_FALSE(one.at("ended").is_null()) << one;
    // What the mark decides is settled by its evidence: it is as if all were there.
    auto bank = lab_->restored_bank(alone);
    auto books = app::read_books(bank, bank.members.at(1));
    EXPECT_TRUE(books.in_doubt.empty());
}

TEST_F(HostsTest, OddCombinationsAreRefused)
{
    using Lines = std::vector<Tool::Arguments>;
    for (const auto& more : Lines{{"--alone"},
                                  {"--instead"},
                                  {"--only", "m7"},
                                  {"--only", "m0", "--start"},
                                  {"--open"},
                                  {"--open", "--alone", "--only", "m0"},
                                  {"--only", "m0", "--to", "2026-11-22 14:00:00 +00:00"},
                                  {"--forget", "restore-x"},
                                  {"--forget", "restore-999"}}) {
        auto run = on("b", more);
        EXPECT_EQ(run.code(), 2) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
    }
    EXPECT_FALSE(fs::exists(dir("b")));
}

/// The part of the recovery sheet for members on hosts of their own, printed for a host whose
/// folder is `dir`: the configuration says that they are on db-a and db-b.
std::string several_hosts(const GroupLab& lab, const fs::path& dir)
{
    auto bytes = base::read_file(lab.config, 1U << 20);
    std::string text(base::as_text(bytes));
    for (std::size_t i = 0; i < 2; ++i) {
        const auto& url = lab.bank.members.at(i).url;
        auto at = text.find(url);
        EXPECT_NE(at, std::string::npos) << url << " is not in " << text;
        if (at == std::string::npos) return {};
        text.replace(at, url.size(), i == 0 ? "postgresql://db-a/bank" : "postgresql://db-b/bank");
    }
    auto config = lab.folder() / "hosts.toml";
    std::ofstream(config, std::ios::trunc) << text;
    auto printed = lab.tool.run({"sheet", "--dir", dir.string(), "--config", config.string()});
    EXPECT_EQ(printed.code(), 0) << printed.text();
    auto begin = printed.out.find("## Instead of step 4");
    EXPECT_NE(begin, std::string::npos) << printed.text();
    if (begin == std::string::npos) return {};
    return printed.out.substr(begin, printed.out.find("\n## ", begin) - begin);
}

/// Two strangers, each with the sheet, one before each host.
TEST_F(HostsTest, TheSheetsCommandsBringTheGroupUpOnItsHosts)
{
    if (::geteuid() != 0) GTEST_SKIP() << "the sheet's commands are for root";
    const auto& server = lab_->lab.cluster(0).install();
    const auto sheet_a = several_hosts(*lab_, dir("a"));
    const auto lines_a = commands_of(sheet_a);
    const auto lines_b = commands_of(several_hosts(*lab_, dir("b")));
    ASSERT_EQ(lines_a.size(), 5U) << sheet_a; // a folder and --only for each host, then --open
    ASSERT_EQ(lines_b.size(), 5U);
    Stranger a(lab_->folder() / "stranger-a", server), b(lab_->folder() / "stranger-b", server);
    auto follow = [](const Stranger& one, const std::string& line,
                     std::initializer_list<int> good) {
        auto done = one.run(line);
        EXPECT_TRUE(std::ranges::count(good, done.exit.code) > 0) << line << '\n'
                                                                  << done.exit.code << '\n'
                                                                  << done.out << done.err;
    };
    EXPECT_LT(sheet_a.find("instead of db-a:"), sheet_a.find("instead of db-b:"));
    follow(a, lines_a.at(0), {0});
    follow(a, lines_a.at(1), {0});
    follow(a, lines_a.at(4), {21}); // one is missing
    follow(b, lines_b.at(2), {0});
    follow(b, lines_b.at(3), {0});
    EXPECT_TRUE(fs::exists(dir("a") / "m0/data")) << "db-a is the first member's";
    EXPECT_TRUE(fs::exists(dir("b") / "m1/data"));
    EXPECT_FALSE(fs::exists(dir("b") / "m0")) << "the line of one host does the other's work";
    follow(a, lines_a.at(4), {3}); // the orphans
    follow(b, lines_b.at(4), {3});
    EXPECT_TRUE(runs(dir("a") / "m0"));
    EXPECT_TRUE(runs(dir("b") / "m1"));
    auto first = on("a", open({"--decisions", decisions("rollback").string()}));
    ASSERT_EQ(first.code(), 0) << first.text();
    auto second = on("b", open());
    ASSERT_EQ(second.code(), 0) << second.text();
    expect_whole(first, second, 0);

    // An earlier moment, as the sheet says it: a mark of it first, the one word in the lines.
    auto begin = sheet_a.find('`') + 1;
    auto earlier = sheet_a.substr(begin, sheet_a.find('`', begin) - begin);
    auto word = earlier.find("'TIME'");
    ASSERT_NE(word, std::string::npos) << sheet_a;
    const auto windows = lab_->run({"list", "windows", "--json"}).json().at("windows");
    ASSERT_FALSE(windows.empty());
    earlier.replace(word + 1, 4, windows.back().at("to").get<std::string>());
    follow(a, earlier, {0, 3});
    auto line = lines_a.at(1);
    line.replace(line.find("--to latest"), 11, "--to before-it --plan");
    stop_restored(dir("a"));
    fs::remove_all(dir("a"));
    follow(a, line, {0, 3});
}

/// Every command of both hosts is killed at random and said again, in both orders.
TEST_F(HostsTest, KillsAtAnyMomentCostNothingButTime)
{
    const char* fixed = std::getenv("TIDEMARK_SEED");
    std::uint32_t seed =
        fixed != nullptr ? static_cast<std::uint32_t>(std::atoi(fixed)) : std::random_device{}();
    SCOPED_TRACE(fmt::format("TIDEMARK_SEED={}", seed));
    std::mt19937 random(seed);
    using Clock = std::chrono::steady_clock;
    std::map<std::string, Clock::duration> alone; // how long each takes that nobody kills
    std::map<std::string, int> killed;
    auto persist = [&](const std::string& host, const Tool::Arguments& more) {
        const auto what = host + more.front();
        if (!alone.contains(what)) {
            auto begin = Clock::now();
            auto whole = on(host, more);
            alone[what] = Clock::now() - begin;
            return whole;
        }
        std::uniform_int_distribution<std::int64_t> moment{
            0, std::chrono::nanoseconds{alone.at(what)}.count() * 3 / 4};
        for (int i = 0; i < 4; ++i) {
            auto process = spawn_on(host, more);
            if (process.wait_for(std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::nanoseconds{moment(random)})))
                break;
            process.kill(SIGKILL);
            process.wait();
            ++killed[more.front()];
        }
        return on(host, more);
    };
    for (int pass = 0; pass < 3; ++pass) { // the first is left alone
        const bool forth = pass != 2;
        const char* hosts[] = {forth ? "a" : "b", forth ? "b" : "a"};
        auto member = [](const char* host) { return *host == 'a' ? "m0" : "m1"; };
        for (const char* host : hosts) {
            auto run = persist(host, {"--only", member(host)});
            ASSERT_EQ(run.code(), 0) << run.text();
            EXPECT_FALSE(runs(dir(host) / member(host)));
        }
        std::map<std::string, ToolRun> opened;
        for (const char* host : hosts) {
            auto run =
                persist(host, {"--open", "--start", "--decisions", decisions("rollback").string()});
            ASSERT_EQ(run.code(), 0) << run.text();
            opened.emplace(host, run);
        }
        auto list = restores();
        EXPECT_EQ(list.at(0).at("state"), "opened") << list.at(0);
        if (opened.at("a").json().contains("report") && opened.at("b").json().contains("report"))
            expect_whole(opened.at("a"), opened.at("b"), 0);
        for (const char* host : hosts) {
            stop_restored(dir(host));
            fs::remove_all(dir(host));
        }
    }
    EXPECT_GT(killed["--only"], 0);
    EXPECT_GT(killed["--open"], 0);
}

} // namespace
} // namespace tidemark::support
