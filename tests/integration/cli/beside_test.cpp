// Beside Debian's pgBackRest, which archives and backs up the same cluster at the same time: each
// keeps its own chain, and both restore.

#include "base/ci_testing.h"
#include "base/subprocess.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

constexpr const char* kNoPgbackrest = "pgbackrest is not installed";

class BesideTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        const bool ready = base::run({"sh", "-c", "command -v pgbackrest"}).exit.success();
        ASSERT_TRUE(ready || !base::nothing_may_be_skipped()) << kNoPgbackrest;
        if (!ready) GTEST_SKIP() << kNoPgbackrest;
        folder_ = rest_.make("rest");
        std::ofstream(conf()) << fmt::format(
            "[global]\nrepo1-path={0}/repo\nlog-path={0}\nlock-path={0}/lock\nspool-path={0}\n"
            "log-level-file=off\nlog-level-console=warn\nstart-fast=y\ncompress-type=zst\n"
            "[m0]\npg1-path={1}\npg1-socket-path={2}\npg1-port={3}\npg1-user=postgres\n",
            folder_.string(), server().data_dir().string(), server().socket_dir().string(),
            server().port());
        command_ = fmt::format("pgbackrest --config={} --stanza=m0 archive-push %p", conf());
        server().configure({{"archive_mode", "on"}, {"archive_command", command_}});
        server().restart();
        auto made = pgbackrest({"stanza-create"});
        ASSERT_TRUE(made.exit.success()) << made.out << made.err;
        auto init = lab_.init();
        ASSERT_EQ(init.code(), 0) << init.text();
    }

    app::LabCluster& server() { return lab_.lab.cluster(0); }
    std::string conf() const { return (folder_ / "pgbackrest.conf").string(); }
    std::string ask(const std::string& sql)
    {
        return Connection::open(server().url()).exec(sql).text(0, 0).value_or("");
    }
    base::ProcessOptions as_owner() const
    {
        return {.user = app::lab_user(), .directory = folder_};
    }
    std::vector<std::string> line(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> out{"pgbackrest", "--config=" + conf(), "--stanza=m0"};
        out.insert(out.end(), arguments.begin(), arguments.end());
        return out;
    }
    base::RunResult pgbackrest(const std::vector<std::string>& arguments) const
    {
        return base::run(line(arguments), {.process = as_owner()});
    }

    /// What pgBackRest has by itself restores, and opens.
    void expect_the_other_restores()
    {
        auto target = folder_ / "restored";
        auto restored = pgbackrest({"--pg1-path=" + target.string(), "--type=immediate",
                                    "--target-action=promote", "restore"});
        ASSERT_TRUE(restored.exit.success()) << restored.out << restored.err;
        auto bin = server().install().bin;
        auto log = (folder_ / "restored.log").string();
        auto ctl = [&](std::vector<std::string> more) {
            more.insert(more.begin(), {(bin / "pg_ctl").string(), "-D", target.string()});
            return base::run(more, {.process = as_owner()});
        };
        auto options =
            fmt::format("-c unix_socket_directories={} -c archive_mode=off", folder_.string());
        auto started = ctl({"-w", "-l", log, "-o", options, "start"});
        EXPECT_TRUE(started.exit.success()) << started.out << started.err;
        auto there = Connection::open(fmt::format("host={} port={} user=postgres dbname=bank",
                                                  folder_.string(), server().port()));
        EXPECT_NE(there.exec("SELECT count(*) FROM public.account").text(0, 0).value_or("0"), "0");
        ctl({"-m", "immediate", "stop"});
    }

    GroupLab lab_;
    app::LabFolder rest_;
    fs::path folder_;
    std::string command_;
};

TEST_F(BesideTest, BothKeepTheirChainsAndBothRestore)
{
    app::Bank load(lab_.bank, lab_.witness);
    load.start();
    lab_.commits(load, 50);
    auto theirs = base::Process::spawn(line({"--type=full", "backup"}), as_owner());
    auto ours = lab_.backup("together");
    EXPECT_EQ(ours.code(), 0) << ours.text();
    EXPECT_TRUE(theirs.wait().success()) << theirs.out() << theirs.err();
    lab_.commits(load, 100);
    ask("SELECT pg_catalog.pg_switch_wal()");
    lab_.commits(load, 50);
    auto mark = lab_.mark("last");
    EXPECT_EQ(mark.code(), 0) << mark.text();
    load.stop();

    // Nothing of theirs was touched, and their archive has no gap.
    EXPECT_EQ(ask("SHOW archive_command"), command_);
    EXPECT_EQ(ask("SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots"), "1");
    auto checked = pgbackrest({"check"});
    EXPECT_TRUE(checked.exit.success()) << checked.out << checked.err;
    EXPECT_EQ(ask("SELECT failed_count FROM pg_catalog.pg_stat_archiver"), "0");
    auto archived = ask("SELECT last_archived_wal FROM pg_catalog.pg_stat_archiver");
    EXPECT_FALSE(archived.empty());

    // Ours restores, and writes nothing into their archive.
    auto verified = lab_.run({"verify"});
    EXPECT_EQ(verified.code(), 0) << verified.text();
    auto restored = lab_.restore({"--to", "last"}, "r");
    EXPECT_EQ(restored.code(), 0) << restored.text();
    auto verdict = lab_.check(restored, "last");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    auto opened = Connection::open(lab_.restored_bank(restored).members.front().url);
    EXPECT_EQ(opened.exec("SHOW archive_mode").text(0, 0), "off");
    stop_restored(lab_.target("r"));
    EXPECT_EQ(ask("SELECT last_archived_wal FROM pg_catalog.pg_stat_archiver"), archived);

    expect_the_other_restores();
}

} // namespace
} // namespace tidemark::support
