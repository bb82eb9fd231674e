// Practice restores on real clusters by the real program: what they prove, what they find, and that
// nothing of them is left. Then the recovery sheet, followed to the letter.

#include "base/fd.h"
#include "cli/shared_group.h"
#include "cli/stranger.h"
#include "engine/postgres/pq.h"

#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>
#include <unistd.h>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

std::string text_of(const fs::path& file)
{
    auto bytes = base::read_file(file, 1U << 22);
    return std::string(base::as_text(bytes));
}

class DrillTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            auto made = must(lab_->init());
            EXPECT_THAT(made.out, HasSubstr("Recovery sheet: group shop"));
            auto config = text_of(lab_->config);
            config.insert(config.find("keep = "),
                          "objective = { lose_at_most = \"30d\", "
                          "restore_within = \"1ms\", drill_every = \"1d\" }\n" +
                              hook());
            std::ofstream(lab_->config, std::ios::trunc) << config;
            back_up_a_corrupted_page();
            for (std::size_t i = 0; i < 2; ++i)
                Connection::open(lab_->lab.cluster(i).conninfo())
                    .exec("ALTER DATABASE postgres SET jit = on");
            lab_->bank.crash_share = 0.1;
            back_up_under_load({.before = 30, .after = 30});
            app::leave_orphans(lab_->bank, lab_->witness, 1, true);
            must(lab_->mark("last"));
        });
    }
    /// Whoever is told of failures writes them down.
    static std::string hook()
    {
        auto hook = lab_->folder() / "tell";
        std::ofstream(hook) << "#!/bin/sh\nprintf '%s %s %s\\n' \"$TIDEMARK_COMMAND\" "
                               "\"$TIDEMARK_RESULT\" \"$TIDEMARK_MESSAGE\" >> \"$1\"\n";
        fs::permissions(hook, fs::perms::owner_all);
        return fmt::format("on_failure = [\"{}\", \"{}\"]\n", hook.string(), told().string());
    }
    static fs::path told() { return lab_->folder() / "told"; }
    /// Into the first backup only: the mark "damaged" has no other to be restored from.
    static void back_up_a_corrupted_page()
    {
        auto& cluster = lab_->lab.cluster(0);
        auto connection = Connection::open(cluster.conninfo());
        connection.exec("CREATE TABLE public.victim WITH (autovacuum_enabled = off) AS "
                        "SELECT n, repeat('x', 500) AS t FROM generate_series(1, 100) AS n");
        connection.exec("VACUUM (FREEZE) public.victim");
        connection.exec("CHECKPOINT");
        auto rows = connection.exec("SELECT pg_catalog.pg_relation_filepath('public.victim')");
        auto path = cluster.data_dir() / std::string(rows.get(0, 0));
        flip(path);
        auto backup = lab_->backup("damaged");
        EXPECT_EQ(backup.code(), 3) << backup.text();
        expect_damage_is_told();
        flip(path);
        connection.exec("DROP TABLE public.victim");
    }
    static void expect_damage_is_told()
    {
        auto status = lab_->run({"status", "--exit-code", "--json"});
        EXPECT_EQ(status.code(), 3) << status.text();
        auto document = status.json();
        EXPECT_EQ(document.at("members").at(0).at("last_backup").at("damaged"), 1);
        EXPECT_THAT(lab_->run({"status"}).out, HasSubstr("1 pages that were damaged"));
        auto verify = lab_->run({"verify"});
        EXPECT_EQ(verify.code(), 0) << verify.text();
        EXPECT_THAT(verify.text(), HasSubstr("1 pages that were damaged"));
    }
    /// One bit in the middle of block 1.
    static void flip(const fs::path& path)
    {
        auto fd = base::open_file(path, O_RDWR);
        std::byte byte{};
        base::pread_full(fd.get(), {&byte, 1}, 8192 + 4000, "victim");
        byte ^= std::byte{0x10};
        base::pwrite_full(fd.get(), {&byte, 1}, 8192 + 4000, "victim");
    }

    void TearDown() override { expect_nothing_left(); }

    static void expect_nothing_left()
    {
        EXPECT_THAT(processes_of_drills(lab_->folder()), testing::IsEmpty());
        for (const auto& entry : fs::directory_iterator(lab_->folder()))
            EXPECT_FALSE(entry.path().filename().string().starts_with("tidemark-drill-"))
                << entry.path();
    }

    static fs::path file(const std::string& name, const std::string& text)
    {
        std::ofstream(lab_->folder() / name) << text;
        return lab_->folder() / name;
    }

    static json checks(const ToolRun& run, const std::string& name, const std::string& result)
    {
        json found = json::array();
        const auto document = run.json();
        for (const auto& check : document.at("drill").at("checks")) {
            if (check.at("name") == name && check.at("result") == result) found.push_back(check);
        }
        return found;
    }

    static bool reads_everything() { return has_amcheck(lab_->lab.cluster(0)); }
    static int passed() { return drill_passed(lab_->lab.cluster(0)); }

    /// A drill that is under way: some member's files are there.
    static base::Process drill_under_way()
    {
        auto process = lab_->spawn({"drill"});
        auto deadline = std::chrono::steady_clock::now() + 60s;
        auto started = [] {
            for (const auto& entry : fs::directory_iterator(lab_->folder())) {
                std::error_code error;
                if (entry.path().filename().string().starts_with("tidemark-drill-") &&
                    fs::exists(entry.path() / "m0" / "data" / "postmaster.pid", error))
                    return true;
            }
            return false;
        };
        while (process.running() && !started() && std::chrono::steady_clock::now() < deadline)
            std::this_thread::sleep_for(5ms);
        EXPECT_TRUE(process.running()) << process.err();
        return process;
    }
};

TEST_F(DrillTest, ProvesTheNewestMarkByEverything)
{
    auto total = app::bank_total(lab_->bank);
    auto sql =
        file("good.sql", fmt::format("--! check: nothing is compiled at run time\n"
                                     "SELECT current_setting('jit') = 'off';\n"
                                     "--! database: bank\n"
                                     "--! check: accounts are there\n"
                                     "SELECT count(*) > 100 FROM account;\n"
                                     "--! check: as many accounts everywhere\n--! expect: equal\n"
                                     "SELECT count(*) FROM account;\n"
                                     "--! check: money\n--! expect: sum {}\n"
                                     "SELECT sum(balance) FROM account;\n",
                                     total));
    auto page = lab_->folder() / "drill.html";
    auto run = lab_->run({"drill", "--sql", sql.string(), "--report", page.string(), "--json"});
    ASSERT_EQ(run.code(), passed()) << run.text();
    auto drill = run.json().at("drill");
    EXPECT_EQ(drill.at("proves"), true);
    EXPECT_EQ(drill.at("proven_by"),
              reads_everything()
                  ? json::array({"recovery", "in_doubt", "amcheck", "assertion", "checksums"})
                  : json::array({"recovery", "in_doubt", "assertion", "checksums"}));
    EXPECT_EQ(checks(run, "amcheck", reads_everything() ? "passed" : "skipped").size(), 2U);
    EXPECT_EQ(checks(run, "checksums", "passed").size(), 2U);
    EXPECT_EQ(drill.at("decisions").size(), 1U) << drill.dump(2);
    EXPECT_THAT(text_of(page), HasSubstr("<svg"));

    auto status = lab_->run({"status", "--json"}).json();
    EXPECT_EQ(status.at("proven").at("drill"), "drill-1");
    EXPECT_EQ(status.at("objective").at(0).at("met"), true);
    EXPECT_EQ(status.at("objective").at(1).at("met"), false) << "nobody restores in 1 ms";
    EXPECT_THAT(lab_->run({"status"}).out, HasSubstr("(drill-1, "));
    auto marks = lab_->run({"list", "marks", "--json"}).json().at("marks");
    EXPECT_EQ(marks.at(0).at("proven").at("drill"), "drill-1");
    EXPECT_TRUE(marks.at(1).at("proven").is_null());
    EXPECT_EQ(lab_->run({"list", "drills", "--json"}).json().at("drills").at(0).at("id"),
              "drill-1");
    EXPECT_THAT(lab_->run({"show", "drill-1"}).out, HasSubstr("PASSED"));
    EXPECT_THAT(lab_->run({"show", "last"}).out, HasSubstr("(drill-1, "));
    auto verify = lab_->run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
}

TEST_F(DrillTest, AFailingAssertionIsExitFour)
{
    auto sql = file("bad.sql", "--! database: bank\n--! check: nobody has money\n"
                               "SELECT sum(balance) = 0 FROM account;\n"
                               "--! check: no such table\nSELECT count(*) FROM nowhere;\n");
    fs::remove(told());
    auto run = lab_->run({"drill", "--sql", sql.string(), "--json"});
    EXPECT_EQ(run.code(), 4) << run.text();
    EXPECT_THAT(text_of(told()), StartsWith("drill not_restorable mark "));
    EXPECT_THAT(text_of(told()), HasSubstr("assertion nobody has money at m"));
    EXPECT_THAT(text_of(told()), HasSubstr(": returned f, not true (and 3 more)"));
    auto failed = checks(run, "assertion", "failed");
    ASSERT_EQ(failed.size(), 4U);
    EXPECT_EQ(failed.at(0).at("text"), "returned f, not true");
    EXPECT_THAT(failed.at(2).at("text").get<std::string>(), HasSubstr("nowhere"));
    auto mistaken = file("mistaken.sql", "--! chek: x\nSELECT true;\n");
    auto refused = lab_->run({"drill", "--sql", mistaken.string()});
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_THAT(refused.err, HasSubstr("mistaken.sql:1: unknown word 'chek'"));
    for (const char* time : {"2026-11-31 00:00:00", "2026-11-22 00:00:00 Europe/Berlin"}) {
        auto meant = lab_->run({"drill", "--to", time});
        EXPECT_EQ(meant.code(), 2) << meant.text();
        EXPECT_THAT(meant.err, HasSubstr("is not a time"));
    }
    refused = lab_->run({"drill", "--sql", "/nonexistent"});
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_THAT(refused.err, HasSubstr("--sql"));
}

TEST_F(DrillTest, FindsACorruptedPage)
{
    auto run = lab_->run({"drill", "--to", "damaged", "--json"});
    EXPECT_EQ(run.code(), 4) << run.text();
    auto content = checks(run, "amcheck", "failed");
    if (reads_everything()) {
        ASSERT_EQ(content.size(), 1U) << run.text();
        EXPECT_EQ(content.at(0).at("member"), "m0");
        EXPECT_THAT(content.at(0).at("details").dump(), HasSubstr("invalid page in block 1"));
    }
    auto pages = checks(run, "checksums", "failed");
    ASSERT_EQ(pages.size(), 1U) << run.text();
    EXPECT_THAT(pages.at(0).at("details").at(0).get<std::string>(), HasSubstr("block 1: checksum"));
}

TEST_F(DrillTest, ASignalTakesEverythingDown)
{
    fs::remove(told());
    auto process = drill_under_way();
    process.kill(SIGTERM);
    auto run = Tool::finish(std::move(process), {"drill"});
    EXPECT_EQ(run.code(), 130) << run.text();
    EXPECT_FALSE(fs::exists(told())) << "whoever stopped it knows";
    expect_nothing_left();
}

TEST_F(DrillTest, TheNextDrillClearsUpAfterAKilledOne)
{
    auto process = drill_under_way();
    process.kill(SIGKILL);
    process.wait();
    auto next = lab_->run({"drill", "--to", "last"});
    EXPECT_EQ(next.code(), passed()) << next.text();
    EXPECT_THAT(next.err, HasSubstr("which a killed drill left"));
}

TEST_F(DrillTest, TroubleWithTheScratchFolderSaysNothingAboutTheBackup)
{
    auto reports = [] {
        return lab_->run({"list", "drills", "--json"}).json().at("drills").size();
    };
    auto before = reports();
    for (const auto& folder : {fs::path("/nowhere-at-all"), lab_->config}) {
        auto run = lab_->run({"drill", "--dir", folder.string()});
        EXPECT_EQ(run.code(), 21) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_THAT(run.err, HasSubstr("--dir"));
        EXPECT_THAT(text_of(told()), HasSubstr("drill member_not_ready "));
    }
    EXPECT_EQ(reports(), before);
}

/// As the package has it: the folder that holds the repository is root's.
TEST_F(DrillTest, WhoMayNotWriteBesideTheRepositoryDrillsElsewhereAndQuietly)
{
    if (::geteuid() != 0) GTEST_SKIP() << "needs two users";
    auto user = app::lab_user();
    ASSERT_TRUE(user.has_value());
    auto give = [&](uid_t uid, gid_t gid) {
        ASSERT_EQ(::chown(lab_->repository.c_str(), uid, gid), 0);
        for (const auto& entry : fs::recursive_directory_iterator(lab_->repository))
            ASSERT_EQ(::lchown(entry.path().c_str(), uid, gid), 0) << entry.path();
    };
    give(user->uid, user->gid);
    auto state = lab_->folder() / "their-state";
    fs::create_directory(state);
    ASSERT_EQ(::chown(state.c_str(), user->uid, user->gid), 0);
    auto how = lab_->tool.options();
    how.user = user;
    how.directory = "/";
    how.environment["XDG_STATE_HOME"] = state.string();
    auto done = base::run(
        {TIDEMARK_PROGRAM, "drill", "--to", "last", "-q", "--repo", lab_->repository.string()},
        {.process = how, .deadline = 120s});
    EXPECT_EQ(done.exit.code, passed()) << done.out << done.err;
    if (passed() == 0) {
        EXPECT_EQ(done.out + done.err, "");
    }
    EXPECT_TRUE(fs::is_directory(state / "tidemark"));
    give(0, 0);
    fs::remove_all(state);
}

TEST_F(DrillTest, KeepLeavesTheFilesAndNoServer)
{
    auto run = lab_->run({"drill", "--to", "last", "--keep", "--json"});
    ASSERT_EQ(run.code(), passed()) << run.text();
    fs::path kept = run.json().at("kept").get<std::string>();
    EXPECT_TRUE(fs::exists(kept / "m0" / "data" / "PG_VERSION"));
    EXPECT_FALSE(fs::exists(kept / "m0" / "data" / "postmaster.pid"));
    fs::remove_all(kept);
}

TEST_F(DrillTest, AStrangerRestoresWithTheSheetAlone)
{
    if (::geteuid() != 0) GTEST_SKIP() << "the sheet's commands are for root";
    auto dir = lab_->target("restored");
    auto paper = lab_->folder() / "paper.md";
    auto printed = lab_->run({"sheet", "--dir", dir.string(), "--output", paper.string()});
    ASSERT_EQ(printed.code(), 0) << printed.text();
    auto sheet = text_of(paper);
    // All is gone but the repository and the paper.
    auto hidden = lab_->folder() / "gone.toml";
    fs::rename(lab_->config, hidden);
    const auto& server = lab_->lab.cluster(0).install();
    Stranger stranger(lab_->folder() / "stranger", server);
    auto commands = commands_of(sheet);
    ASSERT_GE(commands.size(), 9U) << sheet;
    std::string rows;
    for (const auto& command : commands) {
        auto done = stranger.run(command);
        EXPECT_TRUE(done.exit.code == 0 || done.exit.code == 3) << command << "\n"
                                                                << done.out << done.err;
        if (command.find("psql") != std::string::npos) rows += done.out;
    }
    fs::rename(hidden, lab_->config);
    EXPECT_THAT(rows, HasSubstr(" bank\n"));
    EXPECT_THAT(rows, HasSubstr("(0 rows)"));
    // Whether packages can be fetched is not ours to test; which ones are asked for, is.
    auto packages = stranger.asked();
    EXPECT_THAT(packages, StartsWith("update\n"));
    EXPECT_THAT(packages,
                HasSubstr(fmt::format("\ninstall --yes postgresql-{0} postgresql-client-{0}\n",
                                      server.major)));
    EXPECT_EQ(packages.find(" libfmt") != std::string::npos, fs::exists("/usr/bin/dpkg-query"))
        << packages;
    // The last ones stopped the servers.
    EXPECT_TRUE(eventually([&] { return !fs::exists(dir / "m0" / "data" / "postmaster.pid"); }));
    EXPECT_TRUE(fs::exists(dir / "m0" / "data" / "PG_VERSION"));
    stop_restored(dir);
    fs::remove_all(dir);
    // That restore went to its end, so it proved its mark.
    auto drills = lab_->run({"list", "drills", "--json"}).json().at("drills");
    EXPECT_EQ(drills.at(0).at("kind"), "restore");
}

} // namespace
} // namespace tidemark::support
