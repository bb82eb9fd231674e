// A server on a volume of 256 MiB whose log nobody takes any more: it lives on, and the next run
// that works heals the chain.

#include "app/demo/lab_cluster.h"
#include "base/fd.h"
#include "base/mount_testing.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <memory>
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
        ASSERT_TRUE(disk_->mounted() || !base::mounting_is_expected()) << base::kNoMount;
        if (!disk_->mounted()) GTEST_SKIP() << base::kNoMount;
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

/// A member whose slot is dropped when it holds a few MiB, and another cluster with a group and a
/// slot of the same name.
class DropTest : public ::testing::Test {
protected:
    static constexpr const char* kSlots =
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots";

    void SetUp() override
    {
        for (const char* name : {"m0", "other"}) {
            auto cluster = std::make_unique<app::LabCluster>(
                app::LabClusterOptions{.name = name,
                                       .folder = work_.path(),
                                       .settings = {{"max_slot_wal_keep_size", "640MB"}},
                                       .wal_segment_mb = 1});
            cluster->start();
            clusters_[name] = std::move(cluster);
        }
        for (const char* name : {"m0", "other"}) {
            auto made = tool_.run({"init", "m0=" + clusters_[name]->url(), "--repo",
                                   repository(name).string(), "--group", "shop", "--config",
                                   config(name).string()});
            ASSERT_EQ(made.code(), 0) << made.text();
        }
        auto hook = work_.path() / "tell";
        std::ofstream(hook) << "#!/bin/sh\nprintf '%s\\n' \"$TIDEMARK_MESSAGE\" >> \"$1\"\n";
        fs::permissions(hook, fs::perms::owner_all);
        change("keep = ", "log_guard = { warn = \"1%\", drop = \"2%\" }\non_failure = [\"" +
                              hook.string() + "\", \"" + told().string() + "\"]\nkeep = ");
        auto first = run();
        ASSERT_TRUE(first.code() == 0 || first.code() == 3) << first.text();
    }

    fs::path repository(const std::string& name) const { return work_.path() / (name + "-repo"); }
    fs::path config(const std::string& name) const { return work_.path() / (name + ".toml"); }
    fs::path told() const { return work_.path() / "told"; }
    ToolRun run(Tool::Arguments arguments = {"run"}) const
    {
        arguments.insert(arguments.end(), {"--config", config("m0").string()});
        return tool_.run(arguments);
    }
    void change(const std::string& what, const std::string& to) const
    {
        auto bytes = base::read_file(config("m0"), 1U << 20);
        std::string text(base::as_text(bytes));
        auto at = text.find(what);
        ASSERT_NE(at, text.npos) << what << " in " << text;
        std::ofstream(config("m0"), std::ios::trunc) << text.replace(at, what.size(), to);
    }
    std::string ask(const std::string& name, const std::string& sql)
    {
        return Connection::open(clusters_[name]->url()).exec(sql).text(0, 0).value_or("");
    }
    void write_log(const std::string& name)
    {
        for (int i = 0; i < 32; ++i)
            ask(name, "SELECT pg_catalog.pg_logical_emit_message(false, 'x', "
                      "pg_catalog.repeat('x', 1000000))::text");
    }
    std::string hook_was_told() const
    {
        auto bytes = base::read_file(told(), 1U << 20);
        return std::string(base::as_text(bytes));
    }
    json warnings_of_newest_run() const
    {
        auto runs = run({"list", "runs", "--json"}).json().at("runs");
        return run({"show", runs.at(0).at("id").get<std::string>(), "--json"}).json().at("run");
    }

    app::LabFolder work_;
    Tool tool_{work_.path() / "scratch"};
    std::map<std::string, std::unique_ptr<app::LabCluster>> clusters_;
};

TEST_F(DropTest, AnotherClustersSlotStays)
{
    write_log("other");
    auto ours = clusters_["m0"]->url();
    auto theirs = clusters_["other"]->url();
    change(ours, theirs);
    auto wrong = run();
    EXPECT_EQ(wrong.code(), 24) << wrong.text();
    EXPECT_EQ(wrong.err.find("CHAIN IS BROKEN"), wrong.err.npos) << wrong.text();
    EXPECT_EQ(ask("other", kSlots), "1");
    // Nor while nobody can ask the repository.
    fs::rename(repository("m0"), work_.path() / "away");
    wrong = run();
    EXPECT_EQ(wrong.code(), 13) << wrong.text();
    EXPECT_NE(wrong.err.find("another cluster answers there"), wrong.err.npos) << wrong.text();
    EXPECT_EQ(ask("other", kSlots), "1");
    fs::rename(work_.path() / "away", repository("m0"));
    auto left = run({"leave", "--yes"});
    EXPECT_EQ(left.code(), 3) << left.text();
    EXPECT_NE(left.out.find("ANOTHER CLUSTER, nothing is dropped"), left.out.npos) << left.text();
    EXPECT_EQ(ask("other", kSlots), "1");
}

TEST_F(DropTest, IsToldFirstAndRecordedByTheNextRunThatReachesTheRepository)
{
    write_log("m0");
    fs::rename(repository("m0"), work_.path() / "away");
    auto failed = run();
    EXPECT_EQ(failed.code(), 13) << failed.text();
    EXPECT_EQ(ask("m0", kSlots), "0");
    EXPECT_TRUE(hook_was_told().starts_with("m0: THE LOG CHAIN IS BROKEN")) << hook_was_told();
    EXPECT_NE(hook_was_told().find("; cannot open"), std::string::npos) << hook_was_told();
    fs::rename(work_.path() / "away", repository("m0"));
    auto healed = run();
    EXPECT_EQ(healed.code(), 3) << healed.text();
    auto recorded = warnings_of_newest_run();
    auto warnings = recorded.at("warnings");
    ASSERT_FALSE(warnings.empty()) << recorded;
    EXPECT_NE(warnings.at(0).get<std::string>().find(
                  "when no run could be recorded: m0: THE LOG CHAIN IS BROKEN"),
              std::string::npos)
        << recorded;
    auto again = run();
    EXPECT_EQ(again.code(), 0) << again.text();
}

TEST_F(DropTest, IsInTheRecordOfTheRunThatDidIt)
{
    write_log("m0");
    clusters_["m0"]->configure({{"max_wal_senders", "0"}});
    clusters_["m0"]->restart();
    auto failed = run();
    EXPECT_NE(failed.code(), 0);
    EXPECT_NE(failed.code(), 3) << failed.text();
    EXPECT_EQ(ask("m0", kSlots), "0") << failed.text();
    EXPECT_TRUE(hook_was_told().starts_with("m0: THE LOG CHAIN IS BROKEN")) << hook_was_told();
    auto recorded = warnings_of_newest_run();
    EXPECT_NE(recorded.at("warnings").dump().find("m0: THE LOG CHAIN IS BROKEN"), std::string::npos)
        << recorded;
    clusters_["m0"]->configure({{"max_wal_senders", "10"}});
    clusters_["m0"]->restart();
    auto healed = run();
    EXPECT_EQ(healed.code(), 3) << healed.text();
    EXPECT_EQ(healed.err.find("when no run could be recorded"), healed.err.npos) << healed.text();
}

} // namespace
} // namespace tidemark::support
