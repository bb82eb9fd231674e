// What goes wrong in a life: each error has its exit code, one clear message and a next step, and
// leaves nothing behind that hinders the next command.

#include "app/wiring.h"
#include "base/fd.h"
#include "cli/shared_group.h"
#include "engine/postgres/pq.h"
#include "repo/json.h"
#include "repo/layout.h"
#include "repo/lease_codec.h"

#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;
using namespace std::chrono_literals;

void replace_in(const fs::path& file, const std::string& what, const std::string& by)
{
    auto bytes = base::read_file(file, 1U << 20);
    std::string text(base::as_text(bytes));
    auto at = text.find(what);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, what.size(), by);
    std::ofstream(file, std::ios::trunc) << text;
}

class ErrorsTest : public SharedGroupTest {
protected:
    void SetUp() override
    {
        ASSERT_NO_FATAL_FAILURE(SharedGroupTest::SetUp());
        for (std::size_t i = 0; i < 2; ++i) {
            if (!lab_->lab.cluster(i).running()) lab_->lab.cluster(i).start();
        }
    }

    static void expect(const ToolRun& run, int code)
    {
        EXPECT_EQ(run.code(), code) << run.text();
        EXPECT_TRUE(code == 0 || run.explained()) << run.text();
    }
    static void expect_healthy()
    {
        auto mark = lab_->run({"mark"});
        EXPECT_EQ(mark.code(), 0) << "afterwards: " << mark.text();
        auto verify = lab_->run({"verify"});
        EXPECT_EQ(verify.code(), 0) << "afterwards: " << verify.text();
    }
    /// A second configuration with one thing changed.
    static fs::path changed_config(const std::string& what, const std::string& by)
    {
        auto path = lab_->folder() / "changed.toml";
        fs::copy_file(lab_->config, path, fs::copy_options::overwrite_existing);
        replace_in(path, what, by);
        return path;
    }

    static bool holds(const std::string& activity, const base::Process& process);
    static base::Process stopped_mark();
};

TEST_F(ErrorsTest, AServerThatIsDownIsNamed)
{
    lab_->lab.cluster(1).stop();
    for (const auto& [command, code] :
         std::map<std::string, int>{{"mark", 22}, {"log", 20}, {"backup", 20}}) {
        auto run = lab_->run({command});
        expect(run, code);
        EXPECT_NE(run.err.find("m1"), std::string::npos) << run.text();
    }
    auto status = lab_->run({"status", "--json"});
    EXPECT_TRUE(status.json().at("members").at(1).contains("error")) << status.text();
    EXPECT_FALSE(status.json().at("restorable").is_null());
    auto check = lab_->run({"check"});
    EXPECT_EQ(check.code(), 20) << check.text();
    lab_->lab.cluster(1).start();
    expect_healthy();
}

/// Throttled so far that it cannot be done before the server dies.
TEST_F(ErrorsTest, AServerKilledDuringABackupCostsOnlyThatBackup)
{
    // The other member's part may have been done; a set is what counts.
    auto sets = [&] { return lab_->run({"list", "sets", "--json"}).json().at("sets").size(); };
    auto before = sets();
    auto config = changed_config("[group.shop]", "[group.shop]\nrate = \"1M\"");
    Tool::Arguments arguments{"backup", "--config", config.string()};
    auto process = lab_->tool.spawn(arguments);
    ASSERT_TRUE(holds("backup/m1", process));
    EXPECT_FALSE(process.wait_for(base::Duration{500ms})) << "the backup is over already";
    lab_->lab.cluster(1).kill9();
    auto run = Tool::finish(std::move(process), arguments);
    expect(run, 20);
    EXPECT_NE(run.err.find("m1"), std::string::npos) << run.text();
    lab_->lab.cluster(1).start();
    EXPECT_EQ(sets(), before);
    expect_healthy();
    expect(lab_->run({"backup"}), 0);
}

TEST_F(ErrorsTest, AServerRestartedBetweenMarksIsNoMatter)
{
    expect(lab_->run({"mark"}), 0);
    lab_->lab.cluster(0).restart();
    expect(lab_->run({"mark"}), 0);
    lab_->lab.cluster(0).kill9();
    lab_->lab.cluster(0).start();
    expect_healthy();
}

TEST_F(ErrorsTest, AFrozenServerMissesTheMarksDeadline)
{
    auto config = changed_config("wait = \"10s\"", "wait = \"2s\"");
    Frozen server(lab_->lab.cluster(1));
    auto start = std::chrono::steady_clock::now();
    auto run = lab_->tool.run({"mark", "--config", config.string()});
    auto took = std::chrono::steady_clock::now() - start;
    server.thaw();
    expect(run, 22);
    EXPECT_NE(run.err.find("m1"), std::string::npos) << run.text();
    EXPECT_GT(took, 1s);
    EXPECT_LT(took, 10s);
    expect_healthy();
}

bool ErrorsTest::holds(const std::string& activity, const base::Process& process)
{
    auto storage = app::open_storage(lab_->repository.string(), false);
    return eventually([&] {
        auto lease = repo::read_lease(*storage, "shop", activity);
        return lease && lease->held && lease->owner.pid == process.pid();
    });
}

/// A mark that holds its lease and stands still: its servers hang until it is stopped itself.
base::Process ErrorsTest::stopped_mark()
{
    Frozen one(lab_->lab.cluster(0));
    Frozen other(lab_->lab.cluster(1));
    auto process = lab_->spawn({"mark", "--name", "stopped"});
    EXPECT_TRUE(holds("log", process));
    // Past the taking of the lease, and waiting for the member that does not answer.
    EXPECT_FALSE(process.wait_for(base::Duration{300ms}));
    process.kill(SIGSTOP);
    return process;
}

TEST_F(ErrorsTest, AHeldLeaseIsSaidAtOnceAndADeadOwnersIsTaken)
{
    auto owner = stopped_mark();
    auto start = std::chrono::steady_clock::now();
    auto run = lab_->run({"mark"});
    auto took = std::chrono::steady_clock::now() - start;
    expect(run, 11);
    EXPECT_NE(run.err.find(fmt::format("process {}", owner.pid())), std::string::npos)
        << run.text();
    EXPECT_NE(run.err.find("waiting up to 10 s"), std::string::npos) << run.text();
    EXPECT_GT(took, 9s);
    EXPECT_LT(took, 20s);
    owner.kill(SIGKILL);
    owner.wait();
    auto next = lab_->run({"mark"});
    EXPECT_EQ(next.code(), 3) << next.text();
    EXPECT_NE(next.err.find("was broken off"), std::string::npos) << next.text();
    expect_healthy();
}

/// Its lease passed to another job while it was stopped.
TEST_F(ErrorsTest, APausedOwnerThatWakesDoesNoHarm)
{
    auto owner = stopped_mark();
    auto storage = app::open_storage(lab_->repository.string(), false);
    auto state = repo::read_lease(*storage, "shop", "log");
    ASSERT_TRUE(state && state->held);
    ++state->number;
    state->term = state->number;
    state->held = false;
    state->token = "another";
    store::put(*storage, repo::lease_key("shop", "log", state->number), repo::encode_lease(*state));
    expect(lab_->run({"mark", "--name", "meanwhile"}), 0);
    owner.kill(SIGCONT);
    auto woken = Tool::finish(std::move(owner), {"mark", "--name", "stopped"});
    expect(woken, 11);
    auto marks = lab_->run({"list", "marks", "--json"}).json().at("marks");
    EXPECT_EQ(marks.front().at("name"), "meanwhile");
    expect_healthy();
}

TEST_F(ErrorsTest, ARepositoryOfANewerVersionIsRefused)
{
    auto newer = lab_->folder() / "newer";
    fs::copy(lab_->repository, newer, fs::copy_options::recursive);
    auto head = newer / repo::kHeadKey;
    auto bytes = base::read_file(head, 1U << 20);
    std::string text(base::as_text(bytes));
    auto format = text.find("\"format\": 1");
    ASSERT_NE(format, std::string::npos) << text;
    text.replace(format, 11, "\"format\": 9");
    auto check = text.find("\"check\": \"");
    ASSERT_NE(check, std::string::npos) << text;
    text.replace(check + 10, 64, repo::json_check(base::as_bytes(text)));
    fs::permissions(head, fs::perms::owner_write, fs::perm_options::add);
    std::ofstream(head, std::ios::trunc) << text;
    for (const auto& command : {"verify", "restore", "list"}) {
        Tool::Arguments line{command, "--repo", newer.string()};
        if (command == std::string("list")) line.emplace_back("marks");
        expect(lab_->tool.run(line), 14);
    }
    auto config = changed_config(lab_->repository.string(), newer.string());
    expect(lab_->tool.run({"mark", "--config", config.string()}), 14);
    EXPECT_EQ(lab_->tool.run({"check", "--config", config.string()}).code(), 14);
    fs::remove_all(newer);
    expect_healthy();
}

TEST_F(ErrorsTest, AWrongPasswordIsRefusedAndNeverPrinted)
{
    auto& cluster = lab_->lab.cluster(0);
    auto hba = cluster.data_dir() / "pg_hba.conf";
    auto bytes = base::read_file(hba, 1U << 20);
    std::string before(base::as_text(bytes));
    Connection::open(cluster.url())
        .exec("CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right-one'");
    std::ofstream(hba, std::ios::trunc) << "local all guarded scram-sha-256\n"
                                        << "local replication guarded scram-sha-256\n"
                                        << before;
    cluster.reload();
    auto url = cluster.url();
    auto guarded = url;
    guarded.replace(guarded.find("postgres@") == guarded.npos ? guarded.find("user=postgres")
                                                              : guarded.find("postgres@"),
                    guarded.find("postgres@") == guarded.npos ? 13 : 8,
                    guarded.find("postgres@") == guarded.npos ? "user=guarded&password=sesame-17"
                                                              : "guarded:sesame-17");
    auto config = changed_config(url, guarded);
    ToolRun run;
    for (int i = 0; i < 50; ++i) {
        run = lab_->tool.run({"mark", "--config", config.string()});
        if (run.code() == 20) break;
        std::this_thread::sleep_for(50ms);
    }
    expect(run, 20);
    EXPECT_EQ((run.out + run.err).find("sesame-17"), std::string::npos) << run.text();
    auto check = lab_->tool.run({"check", "--json", "--config", config.string()});
    EXPECT_EQ(check.code(), 20) << check.text();
    EXPECT_EQ((check.out + check.err).find("sesame-17"), std::string::npos) << check.text();
    std::ofstream(hba, std::ios::trunc) << before;
    cluster.reload();
    expect_healthy();
}

TEST_F(ErrorsTest, AnotherClusterIsNotTakenForTheMember)
{
    // The members' urls change places: both answer, both are wrong.
    auto one = lab_->lab.cluster(0).url();
    auto two = lab_->lab.cluster(1).url();
    auto config = changed_config(one, "URL-OF-M0");
    replace_in(config, two, one);
    replace_in(config, "URL-OF-M0", two);
    for (const auto& command : {"mark", "backup"}) {
        auto run = lab_->tool.run({command, "--config", config.string()});
        expect(run, 24);
    }
    auto check = lab_->tool.run({"check", "--config", config.string()});
    EXPECT_EQ(check.code(), 24) << check.text();
    EXPECT_NE(check.out.find("identity"), std::string::npos) << check.text();
    EXPECT_EQ(check.out.find("slot"), std::string::npos) << check.text();
    auto status = lab_->tool.run({"status", "--exit-code", "--config", config.string()});
    EXPECT_EQ(status.code(), 3) << status.text();
    EXPECT_NE(status.out.find("OTHER CLUSTER"), std::string::npos) << status.text();
    lab_->tool.run({"status", "--json", "--config", config.string()});
    expect_healthy();
}

TEST_F(ErrorsTest, AllMistakesOfAConfigurationAtOnceWithTheirLines)
{
    auto config = lab_->folder() / "mistakes.toml";
    std::ofstream(config) << "[repository.main]\nurl = 3\n[group.shop]\nful = \"daily 02:00\"\n"
                             "mark = { every = \"15 parsecs\" }\n";
    auto run = lab_->tool.run({"status", "--config", config.string()});
    expect(run, 2);
    for (const auto& line : {"mistakes.toml:2", "mistakes.toml:4", "mistakes.toml:5"})
        EXPECT_NE(run.err.find(line), std::string::npos) << line << "\n" << run.text();
    EXPECT_NE(run.err.find("full"), std::string::npos) << run.text();
    expect(lab_->tool.run({"status", "--config", (lab_->folder() / "none.toml").string()}), 2);
    expect(lab_->tool.run({"status"}), 2);
    expect(lab_->run({"status", "nogroup"}), 2);
}

TEST_F(ErrorsTest, ARepositoryThatIsNotThere)
{
    auto nowhere = changed_config(lab_->repository.string(), "/nonexistent/repository");
    expect(lab_->tool.run({"mark", "--config", nowhere.string()}), 13);
    auto copy = lab_->folder() / "headless";
    fs::create_directories(copy);
    fs::copy_file(lab_->repository / "tidemark.json", copy / "tidemark.json");
    fs::remove(copy / "tidemark.json");
    expect(lab_->tool.run({"verify", "--repo", copy.string()}), 2);
}

/// A mount point is an empty folder when its disk is not mounted.
TEST_F(ErrorsTest, AnEmptyFolderWhereTheRepositoryWasIsADiskThatIsNotMounted)
{
    auto disk = lab_->folder() / "the-disk";
    fs::rename(lab_->repository, disk);
    auto removed = lab_->run({"init"});
    expect(removed, 13);
    EXPECT_NE(removed.err.find("--new-repository"), std::string::npos) << removed.text();
    EXPECT_FALSE(fs::exists(lab_->repository));
    fs::create_directory(lab_->repository);
    for (const Tool::Arguments& command :
         {Tool::Arguments{"mark"}, {"run"}, {"status"}, {"list", "runs"}, {"init"}}) {
        auto run = lab_->run(command);
        expect(run, 13);
        EXPECT_NE(run.err.find("may not be mounted"), std::string::npos) << run.text();
        EXPECT_TRUE(fs::is_empty(lab_->repository)) << run.text();
    }
    auto check = lab_->run({"check"});
    EXPECT_EQ(check.code(), 13) << check.text();
    EXPECT_NE(check.out.find("may not be mounted"), std::string::npos) << check.text();
    // Somebody who means it. Its slots are those of the other repository, and stay.
    auto meant = lab_->run({"init", "--new-repository"});
    EXPECT_TRUE(fs::exists(lab_->repository / "tidemark.json")) << meant.text();
    fs::remove_all(lab_->repository);
    fs::rename(disk, lab_->repository);
    expect(lab_->run({"init", "--new-repository"}), 2);
    expect_healthy();
}

/// A monitor gives up after ten seconds.
TEST_F(ErrorsTest, AHungServerDoesNotHangItsChecks)
{
    Frozen server(lab_->lab.cluster(1));
    for (const Tool::Arguments& command : {Tool::Arguments{"check"}, {"check", "--nagios"}}) {
        auto start = std::chrono::steady_clock::now();
        auto run = lab_->run(command);
        EXPECT_LT(std::chrono::steady_clock::now() - start, 10s) << run.text();
        EXPECT_EQ(run.code(), command.size() == 1 ? 20 : 2) << run.text();
        EXPECT_NE(run.out.find("m1"), std::string::npos) << run.text();
    }
}

TEST_F(ErrorsTest, ARepositoryThatTheConfigurationDoesNotNameHasNoMembersToAsk)
{
    auto copy = lab_->folder() / "copy-of-repository";
    fs::copy(lab_->repository, copy, fs::copy_options::recursive);
    for (const char* command : {"mark", "log", "backup", "run", "check"}) {
        auto run = lab_->run({command, "--repo", copy.string()});
        EXPECT_EQ(run.code(), 2) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_NE(run.err.find("does not name the repository " + copy.string()), std::string::npos)
            << run.text();
    }
    EXPECT_EQ(lab_->run({"list", "marks", "--repo", copy.string()}).code(), 0);
    auto same = lab_->run({"log", "--repo", lab_->repository.string()});
    EXPECT_EQ(same.code(), 0) << same.text();
    fs::remove_all(copy);
}

} // namespace
} // namespace tidemark::support
