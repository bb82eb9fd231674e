// A server on a volume of 256 MiB whose log nobody takes any more: it lives on, and the next run
// that works heals the chain.

#include "app/demo/lab_cluster.h"
#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;
using nlohmann::json;

class LogGuardTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        disk_.emplace(work_.path() / "small", "size=256m,mode=0755");
        if (!disk_->mounted())
            GTEST_SKIP() << "a volume of 256 MiB cannot be mounted here (root and CAP_SYS_ADMIN "
                            "are needed)";
        app::give_to_lab_user(disk_->path());
        tool_.emplace(work_.path() / "scratch");
    }
    void TearDown() override
    {
        cluster_.reset();
        disk_.reset();
    }

    void begin(const std::string& bound, Tool::Arguments more)
    {
        cluster_.emplace(app::LabClusterOptions{.name = "m0",
                                                .folder = disk_->path(),
                                                .settings = {{"max_slot_wal_keep_size", bound},
                                                             {"max_wal_size", "16MB"},
                                                             {"min_wal_size", "2MB"}},
                                                .wal_segment_mb = 1});
        cluster_->start();
        Tool::Arguments init{
            "init", "m0=" + cluster_->url(), "--repo", repository().string(), "--group", "shop"};
        init.insert(init.end(), more.begin(), more.end());
        auto made = run(init);
        ASSERT_EQ(made.code(), 0) << made.text();
        auto first = run({"run", "--json"});
        ASSERT_TRUE(first.code() == 0 || first.code() == 3) << first.text();
    }

    ToolRun run(Tool::Arguments arguments) const
    {
        arguments.insert(arguments.end(), {"--config", (work_.path() / "tidemark.toml").string()});
        return tool_->run(arguments);
    }
    fs::path repository() const { return work_.path() / "repository"; }
    std::string ask(const std::string& sql)
    {
        return Connection::open(cluster_->url()).exec(sql).text(0, 0).value_or("");
    }
    /// Log that is in nobody's way but ours.
    void write_log(int megabytes)
    {
        auto connection = Connection::open(cluster_->url());
        for (int i = 0; i < megabytes; ++i)
            connection.exec("SELECT pg_catalog.pg_logical_emit_message(false, 'x', "
                            "pg_catalog.repeat('x', 1000000))");
        connection.exec("CHECKPOINT");
    }
    double free_share() const
    {
        auto space = fs::space(disk_->path());
        return static_cast<double>(space.available) / static_cast<double>(space.capacity);
    }
    void heals()
    {
        auto healed = run({"run", "--json"});
        EXPECT_EQ(healed.code(), 3) << healed.text();
        auto document = healed.json();
        ASSERT_TRUE(document.is_object()) << healed.text();
        EXPECT_TRUE(document.at("full").get<bool>()) << document;
        auto plan = run({"restore", "--plan"});
        EXPECT_EQ(plan.code(), 0) << plan.text();
        auto again = run({"run", "--json"});
        EXPECT_EQ(again.code(), 0) << again.text();
        EXPECT_FALSE(again.json().at("full").get<bool>()) << again.text();
        EXPECT_EQ(run({"verify"}).code(), 0);
    }

    app::LabFolder work_;
    std::optional<SmallDisk> disk_;
    std::optional<Tool> tool_;
    std::optional<app::LabCluster> cluster_;
};

TEST_F(LogGuardTest, RunsThatFailGiveTheSlotUpBeforeTheDiskIsFull)
{
    begin("-1", {"--unbounded"});
    if (HasFatalFailure()) return;
    auto away = work_.path() / "away";
    fs::rename(repository(), away);
    bool warned = false;
    bool dropped = false;
    for (int i = 0; i < 60 && !dropped; ++i) {
        write_log(8);
        auto failed = run({"run"});
        ASSERT_EQ(failed.code(), 13) << failed.text();
        warned = warned || failed.err.find("log is not being backed up and our slot holds") !=
                               failed.err.npos;
        dropped = failed.err.find("THE LOG CHAIN IS BROKEN") != failed.err.npos;
        if (!dropped) continue;
        EXPECT_NE(failed.err.find("room on its disk"), failed.err.npos) << failed.err;
    }
    EXPECT_TRUE(warned);
    EXPECT_TRUE(dropped);
    EXPECT_TRUE(cluster_->running()) << cluster_->last_words();
    EXPECT_EQ(ask("SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots"), "0");
    write_log(8);
    write_log(8);
    EXPECT_GT(free_share(), 0.5) << "the server removed the log that our slot held";
    fs::rename(away, repository());
    heals();
}

TEST_F(LogGuardTest, WithoutAnyRunTheBoundProtectsTheServer)
{
    begin("64MB", {});
    if (HasFatalFailure()) return;
    for (int i = 0; i < 40; ++i)
        write_log(8); // more than the volume holds
    EXPECT_TRUE(cluster_->running()) << cluster_->last_words();
    EXPECT_GT(free_share(), 0.3);
    auto status = run({"status", "--exit-code"});
    EXPECT_TRUE(status.code() == 3 || status.code() == 4) << status.text();
    EXPECT_NE(status.out.find("LOST"), status.out.npos) << status.text();
    heals();
}

} // namespace
} // namespace tidemark::support
