// A coordinator that commits its own part in one phase, on m0: it prepares the others' parts,
// commits its own with a row that says so, then tells the others. No log of prepared transactions
// shows the decision; the row does.

#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <atomic>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using engine::postgres::Connection;

class DecisionTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        for (std::size_t i = 0; i < lab_.size(); ++i)
            at(i).exec("CREATE TABLE public.ledger (gid text PRIMARY KEY)");
        at(0).exec("CREATE SCHEMA coordinator; "
                   "CREATE TABLE coordinator.\"Outcome\" (gid text PRIMARY KEY)");
    }
    void TearDown() override
    {
        for (const auto& dir : dirs_)
            stop_restored(dir);
    }

    Connection at(std::size_t member) { return Connection::open(lab_.cluster(member).conninfo()); }

    ToolRun run(Tool::Arguments arguments) const
    {
        arguments.insert(arguments.end(), {"--config", config().string(), "--json"});
        return tool_.run(arguments);
    }
    fs::path config() const { return work_.path() / "tidemark.toml"; }
    fs::path dir(const std::string& name)
    {
        dirs_.push_back(work_.path() / name);
        return dirs_.back();
    }

    /// The state of check `decision_table`, and its cause.
    std::pair<std::string, std::string> table_check() const
    {
        const auto document = run({"check"}).json();
        for (const auto& check : document.at("checks"))
            if (check.at("check") == "decision_table")
                return {check.at("state"), check.at("cause")};
        return {};
    }

    void make_group(const std::string& decision, int expected = 0)
    {
        Tool::Arguments arguments{"init", "--group", "shop", "--repo",
                                  (work_.path() / "repository").string()};
        for (std::size_t i = 0; i < lab_.size(); ++i)
            arguments.push_back(fmt::format("m{}={}", i, lab_.cluster(i).url()));
        auto made = run(arguments);
        ASSERT_EQ(made.code(), 0) << made.text();
        if (!decision.empty()) {
            auto text = std::string(base::as_text(base::read_file(config(), 1U << 20)));
            auto second =
                text.find("\n[[group.shop.member]]", text.find("[[group.shop.member]]") + 1);
            ASSERT_NE(second, std::string::npos) << text;
            text.insert(second, "decision = \"" + decision + "\"\n");
            base::replace_file(config(), base::as_bytes(text));
        }
        mark("backup", "base", expected);
    }
    nlohmann::json mark(const std::string& how, const std::string& name, int expected = 0)
    {
        auto made = run({how, "--name", name});
        EXPECT_EQ(made.code(), expected) << made.text();
        return made.json().at("mark");
    }

    /// A file of these lines.
    std::string decisions(const std::string& lines) const
    {
        auto file = work_.path() / "decisions";
        std::ofstream(file, std::ios::trunc) << lines;
        return file.string();
    }

    void prepare(std::size_t member, const std::string& gid)
    {
        at(member).exec(fmt::format("BEGIN; INSERT INTO public.ledger VALUES ('{0}'); "
                                    "PREPARE TRANSACTION '{0}'",
                                    gid));
    }
    void decide(const std::string& gid)
    {
        at(0).exec(fmt::format("BEGIN; INSERT INTO public.ledger VALUES ('{0}'); "
                               "INSERT INTO coordinator.\"Outcome\" VALUES ('{0}'); COMMIT",
                               gid));
    }
    void finish(std::size_t member, const std::string& gid, bool commit = true)
    {
        at(member).exec(fmt::format("{} PREPARED '{}'", commit ? "COMMIT" : "ROLLBACK", gid));
    }

    std::set<std::string> ledger(const nlohmann::json& member)
    {
        auto sql = Connection::open(fmt::format("host={} port={} user=postgres dbname=postgres",
                                                member.at("socket_dir").get<std::string>(),
                                                member.at("port").get<int>()));
        std::set<std::string> out;
        auto rows = sql.exec("SELECT gid FROM public.ledger");
        for (int i = 0; i < rows.rows(); ++i)
            out.emplace(rows.get(i, 0));
        return out;
    }

    Lab lab_{3, {.settings = {{"max_slot_wal_keep_size", "4GB"}}}};
    app::LabFolder work_;
    Tool tool_{work_.path() / "scratch"};
    std::vector<fs::path> dirs_;
};

TEST_F(DecisionTest, TheRowIsTheVerdict)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    EXPECT_EQ(table_check().first, "ok") << table_check().second;
    for (const char* gid : {"yes", "it's \\ odd", "no"}) {
        for (std::size_t member : {1U, 2U}) {
            auto sql = at(member);
            auto quoted = Connection::literal(gid);
            sql.exec("BEGIN; INSERT INTO public.ledger VALUES (" + quoted +
                     "); PREPARE TRANSACTION " + quoted);
        }
    }
    decide("yes");
    auto odd = Connection::literal("it's \\ odd");
    at(0).exec("BEGIN; INSERT INTO public.ledger VALUES (" + odd +
               "); INSERT INTO coordinator.\"Outcome\" VALUES (" + odd + "); COMMIT");
    auto placed = mark("mark", "half");
    EXPECT_FALSE(placed.at("two_phase_only").get<bool>());
    auto restored = run({"restore", "--dir", dir("r").string(), "--start"});
    ASSERT_EQ(restored.code(), 0) << restored.text();
    std::set<std::string> expected{"yes", "it's \\ odd"};
    const auto document = restored.json();
    for (const auto& member : document.at("report").at("members"))
        EXPECT_EQ(ledger(member), expected) << member.at("name");
    auto audit = run({"audit", "half"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    auto drill = run({"drill", "--dir", work_.path().string()});
    EXPECT_EQ(drill.code(), drill_passed(lab_.cluster(0))) << drill.text();

    // On hosts of their own: what the coordinator's host read is known to the other.
    auto here = dir("a"), there = dir("b");
    auto only = run({"restore", "--only", "m0", "--dir", here.string()});
    ASSERT_EQ(only.code(), 0) << only.text();
    only = run({"restore", "--only", "m1", "--only", "m2", "--dir", there.string()});
    ASSERT_EQ(only.code(), 0) << only.text();
    auto early = run({"restore", "--open", "--start", "--dir", there.string()});
    EXPECT_EQ(early.code(), 21) << early.text();
    EXPECT_NE(early.err.find("m0"), std::string::npos) << early.text();
    auto first = run({"restore", "--open", "--start", "--dir", here.string()});
    ASSERT_EQ(first.code(), 0) << first.text();
    auto second = run({"restore", "--open", "--start", "--dir", there.string()});
    ASSERT_EQ(second.code(), 0) << second.text();
    for (const auto* opened : {&first, &second}) {
        const auto report = opened->json().at("report");
        for (const auto& member : report.at("members"))
            EXPECT_EQ(ledger(member), expected) << member.at("name");
    }
}

TEST_F(DecisionTest, ACommitWithoutItsRowMakesTheMarkInconsistent)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    mark("mark", "good");
    // Committed at m1 and in doubt at m2, and m0 knows nothing of it.
    prepare(1, "torn");
    prepare(2, "torn");
    finish(1, "torn");
    mark("mark", "bad");
    auto target = dir("r");
    auto refused = run({"restore", "--to", "bad", "--dir", target.string(), "--start"});
    EXPECT_EQ(refused.code(), 4) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    for (const char* word : {"torn is committed at m1", "nothing was opened", "--to m-2"})
        EXPECT_NE(refused.err.find(word), std::string::npos) << word << refused.text();
    EXPECT_FALSE(any_server_runs(target));
    EXPECT_EQ(run({"drill", "--to", "bad", "--dir", work_.path().string()}).code(), 4);
    auto discarded = run({"restore", "--to", "bad", "--discard", "--dir", target.string()});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
    auto good = run({"restore", "--to", "m-2", "--dir", target.string(), "--start"});
    EXPECT_EQ(good.code(), 0) << good.text();
    // Everything can be had all the same, by somebody who looks at it himself.
    auto kept = run({"restore", "--to", "bad", "--in-doubt", "keep", "--dir", dir("k").string()});
    EXPECT_EQ(kept.code(), 3) << kept.text();
}

/// Both parts that are prepared were committed before the moment, the decision came after it.
TEST_F(DecisionTest, ADecisionAfterTheMomentMakesItInconsistent)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    prepare(1, "late");
    prepare(2, "late");
    finish(1, "late");
    finish(2, "late");
    std::this_thread::sleep_for(50ms);
    auto moment = base::format_time(base::SystemClock().now());
    std::this_thread::sleep_for(50ms);
    decide("late");
    mark("mark", "after");
    auto refused = run({"restore", "--to", moment, "--dir", dir("r").string(), "--start"});
    EXPECT_EQ(refused.code(), 4) << refused.text();
    EXPECT_NE(refused.err.find("late is committed at m1"), std::string::npos) << refused.text();
    auto good = run({"restore", "--to", "after", "--dir", dir("g").string(), "--start"});
    EXPECT_EQ(good.code(), 0) << good.text();
}

TEST_F(DecisionTest, ATableThatIsNotThereOpensNothing)
{
    // Told with every full backup, long before the disaster.
    make_group("coordinator.Missing.gid", 3);
    if (HasFailure()) return;
    EXPECT_EQ(table_check().first, "failed") << table_check().second;
    for (const char* command : {"init", "backup"}) {
        auto told = run({command});
        EXPECT_EQ(told.code(), std::string(command) == "init" ? 0 : 3) << told.text();
        EXPECT_NE(told.err.find("coordinator.Missing.gid"), std::string::npos) << told.text();
    }
    EXPECT_EQ(run({"mark"}).code(), 0); // asks no database
    // A database that cannot be looked at is named: the table may be there.
    at(0).exec("CREATE DATABASE closed");
    at(0).exec("CREATE ROLE looker LOGIN REPLICATION IN ROLE pg_monitor; "
               "REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
    const auto before = std::string(base::as_text(base::read_file(config(), 1U << 20)));
    auto text = before;
    auto user = text.find("user=postgres");
    if (user == std::string::npos) user = text.find("postgres@");
    ASSERT_NE(user, std::string::npos) << text;
    text.replace(text.find("postgres", user), 8, "looker");
    base::replace_file(config(), base::as_bytes(text));
    EXPECT_EQ(table_check().first, "waiting") << table_check().second;
    EXPECT_NE(table_check().second.find("closed"), std::string::npos) << table_check().second;
    base::replace_file(config(), base::as_bytes(before));
    auto refused = run({"restore", "--dir", dir("r").string(), "--start"});
    EXPECT_EQ(refused.code(), 4) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    EXPECT_NE(refused.err.find("coordinator.Missing.gid"), std::string::npos) << refused.text();
}

TEST_F(DecisionTest, WithoutATableNothingIsRolledBackWithoutEvidence)
{
    make_group("none");
    if (HasFailure()) return;
    prepare(1, "open");
    prepare(2, "open");
    auto placed = mark("mark", "half");
    EXPECT_TRUE(placed.at("two_phase_only").get<bool>());
    auto kept = run({"restore", "--dir", dir("r").string(), "--start"});
    EXPECT_EQ(kept.code(), 3) << kept.text();
    const auto document = kept.json();
    for (const auto& member : document.at("report").at("members"))
        for (const auto& decision : member.at("decisions"))
            EXPECT_EQ(decision.at("action"), "kept") << decision;
    auto settled = run({"restore", "--dir", dir("s").string(), "--start", "--decisions",
                        decisions("m1 open rollback\nm2 open rollback\n")});
    EXPECT_EQ(settled.code(), 0) << settled.text();
}

/// A row, or that there is none, is evidence like a commit in a log: no word is taken against it.
TEST_F(DecisionTest, AWordAgainstTheTableSettlesNothing)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    for (const char* gid : {"yes", "no"}) {
        prepare(1, gid);
        prepare(2, gid);
    }
    decide("yes");
    mark("mark", "half");
    const auto target = dir("r");
    auto with_words = [&](Tool::Arguments line, const std::string& words) {
        line.insert(line.end(), {"--to", "half", "--decisions", decisions(words)});
        return run(line);
    };
    auto refused = [&](const Tool::Arguments& line, const std::string& words,
                       const std::string& why) {
        auto told = with_words(line, words);
        EXPECT_EQ(told.code(), 2) << told.text();
        EXPECT_TRUE(told.explained()) << told.text();
        EXPECT_NE(told.err.find("decisions:1"), std::string::npos) << told.text();
        EXPECT_NE(told.err.find(why), std::string::npos) << told.text();
        EXPECT_FALSE(any_server_runs(target));
    };
    const Tool::Arguments restore{"restore", "--dir", target.string(), "--start"};
    const std::string present = "the decision table says commit: its decision stands in";
    const std::string absent = "the decision table says rollback: no commit at any member";
    // The plan reads no table; the restore and the drill do, and the same command goes on.
    auto plan = with_words({"restore", "--plan"}, "m1 yes rollback\n");
    EXPECT_EQ(plan.code(), 0) << plan.text();
    refused({"drill", "--dir", work_.path().string()}, "m1 yes rollback\n", present);
    refused(restore, "m1 yes rollback\n", present);
    refused(restore, "m2 no commit\n", absent);
    EXPECT_TRUE(run({"list", "drills"}).json().at("drills").empty());
    auto agreed = with_words(restore, "m1 yes commit\nm2 no rollback\n");
    ASSERT_EQ(agreed.code(), 0) << agreed.text();
    const auto document = agreed.json();
    for (const auto& member : document.at("report").at("members"))
        EXPECT_EQ(ledger(member), std::set<std::string>{"yes"}) << member.at("name");
}

/// Once it was handed over with everything kept, its users may have tidied the table.
TEST_F(DecisionTest, WhatWasKeptIsSettledByWordsAlone)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    prepare(1, "yes");
    prepare(2, "yes");
    decide("yes");
    mark("mark", "half");
    Tool::Arguments restore{"restore", "--to", "half", "--dir", dir("k").string(), "--start"};
    auto keeping = restore;
    keeping.insert(keeping.end(), {"--in-doubt", "keep"});
    auto kept = run(keeping);
    EXPECT_EQ(kept.code(), 3) << kept.text();
    EXPECT_NE(kept.err.find("no decision table was asked"), std::string::npos) << kept.text();
    restore.insert(restore.end(), {"--decisions", decisions("m1 yes rollback\nm2 yes rollback\n")});
    auto settled = run(restore);
    // What was never asked is not known later either.
    ASSERT_EQ(settled.code(), 3) << settled.text();
    EXPECT_NE(settled.err.find("no decision table was asked"), std::string::npos) << settled.text();
    const auto document = settled.json();
    for (const auto& member : document.at("report").at("members")) {
        EXPECT_EQ(ledger(member).contains("yes"), member.at("name") == "m0") << member;
        for (const auto& decision : member.at("decisions"))
            EXPECT_EQ(decision.at("action"), "rollback") << decision;
    }
}

/// A coordinator at work: whatever a mark catches of it comes back whole, or is refused.
TEST_F(DecisionTest, MarksUnderLoadComeBackWholeOrAreRefused)
{
    make_group("coordinator.Outcome.gid");
    if (HasFailure()) return;
    std::atomic<bool> stop = false;
    std::atomic<unsigned> done = 0;
    std::vector<std::jthread> clients;
    for (int client = 0; client < 3; ++client) {
        clients.emplace_back([&, client] {
            Connection sql[] = {at(0), at(1), at(2)};
            for (unsigned i = 0; !stop; ++i) {
                auto gid = fmt::format("t-{}-{}", client, i);
                for (std::size_t member : {1U, 2U})
                    sql[member].exec(fmt::format("BEGIN; INSERT INTO public.ledger VALUES ('{0}'); "
                                                 "PREPARE TRANSACTION '{0}'",
                                                 gid));
                bool commit = i % 5 != 0;
                if (commit)
                    sql[0].exec(
                        fmt::format("BEGIN; INSERT INTO public.ledger VALUES ('{0}'); INSERT "
                                    "INTO coordinator.\"Outcome\" VALUES ('{0}'); COMMIT",
                                    gid));
                for (std::size_t member : {1U, 2U})
                    sql[member].exec(
                        fmt::format("{} PREPARED '{}'", commit ? "COMMIT" : "ROLLBACK", gid));
                ++done;
            }
        });
    }
    for (int i = 0; i < 4; ++i) {
        auto wanted = done + 40;
        ASSERT_TRUE(eventually([&] { return done >= wanted; }));
        mark("mark", fmt::format("load-{}", i));
    }
    stop = true;
    clients.clear();
    unsigned whole = 0;
    for (int i = 0; i < 4; ++i) {
        auto target = dir(fmt::format("r{}", i));
        auto restored = run(
            {"restore", "--to", fmt::format("load-{}", i), "--dir", target.string(), "--start"});
        if (restored.code() == 4) {
            EXPECT_NE(restored.err.find("is committed at"), std::string::npos) << restored.text();
            EXPECT_FALSE(any_server_runs(target));
            continue;
        }
        ASSERT_EQ(restored.code(), 0) << restored.text();
        ++whole;
        const auto members = restored.json().at("report").at("members");
        auto first = ledger(members.at(0));
        EXPECT_EQ(ledger(members.at(1)), first);
        EXPECT_EQ(ledger(members.at(2)), first);
        stop_restored(target);
    }
    RecordProperty("whole", static_cast<int>(whole));
}

} // namespace
} // namespace tidemark::support
