// The scheduled job as a timer calls it, again and again, with things going wrong in between.

#include "app/wiring.h"
#include "base/ci_testing.h"
#include "base/fd.h"
#include "cli/shared_group.h"
#include "engine/postgres/pq.h"
#include "repo/lease.h"
#include "repo/open_runs.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

std::string text_of(const fs::path& file)
{
    auto bytes = base::read_file(file, 1U << 20);
    return std::string(base::as_text(bytes));
}

class RunTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            auto first = lab_->run({"status", "--json"});
            EXPECT_EQ(first.json().at("full_due"), true) << first.text();
            EXPECT_EQ(first.err.find("has not seen"), std::string::npos) << first.text();
            auto memory = listing(lab_->folder());
            EXPECT_TRUE(std::ranges::any_of(memory, [](const auto& file) {
                return file.first.ends_with("places.json");
            })) << "init remembers where the repository is";
            tell_of_failures();
        });
    }
    /// Of whatever does not end well: the hook writes down what it was told.
    static void tell_of_failures()
    {
        auto hook = lab_->folder() / "tell";
        std::ofstream(hook) << "#!/bin/sh\nprintf '%s %s %s\\n' \"$TIDEMARK_GROUP\" "
                               "\"$TIDEMARK_RESULT\" \"$TIDEMARK_MESSAGE\" >> \"$1\"\n";
        fs::permissions(hook, fs::perms::owner_all);
        auto config = text_of(lab_->config);
        auto at = config.find("keep = ");
        ASSERT_NE(at, std::string::npos) << config;
        config.insert(at, "full = \"yearly 01-01 00:00\"\nzone = \"UTC\"\non_failure = [\"" +
                              hook.string() + "\", \"" + told().string() + "\"]\n");
        std::ofstream(lab_->config, std::ios::trunc) << config;
    }

    static fs::path told() { return lab_->folder() / "told"; }
    static nlohmann::json run_ok(int code = 0)
    {
        auto run = lab_->run({"run", "--json"});
        EXPECT_EQ(run.code(), code) << run.text();
        auto document = run.json();
        return document.is_null() ? nlohmann::json::object() : document;
    }
};

TEST_F(RunTest, FirstFullThenMarksThenHealsWhatBroke)
{
    auto first = run_ok();
    EXPECT_TRUE(first.at("full").get<bool>());
    auto second = run_ok();
    EXPECT_FALSE(second.at("full").get<bool>()) << second.at("why");
    EXPECT_FALSE(fs::exists(told()));

    auto& cluster = lab_->lab.cluster(0);
    Connection::open(cluster.url())
        .exec("SELECT pg_catalog.pg_drop_replication_slot('tidemark_shop')");
    auto healed = run_ok(3);
    EXPECT_TRUE(healed.at("healed").get<bool>());
    EXPECT_TRUE(healed.at("full").get<bool>());
    EXPECT_NE(text_of(told()).find("shop warnings log backups cannot go on"), std::string::npos)
        << text_of(told());
    EXPECT_FALSE(run_ok().at("full").get<bool>());

    fs::remove(told());
    lab_->lab.cluster(1).stop();
    auto down = lab_->run({"run"});
    EXPECT_EQ(down.code(), 20) << down.text();
    EXPECT_TRUE(down.explained()) << down.text();
    EXPECT_NE(text_of(told()).find("shop member_unreachable"), std::string::npos)
        << text_of(told());
    auto log = lab_->run({"log"});
    EXPECT_EQ(log.code(), 20) << log.text();
    EXPECT_TRUE(log.explained()) << log.text();
    EXPECT_NE(log.err.find("m0: its log is backed up all the same"), std::string::npos)
        << log.text();
    lab_->lab.cluster(1).start();
    EXPECT_FALSE(run_ok().at("full").get<bool>());

    auto runs = lab_->run({"list", "runs", "--json"}).json().at("runs");
    EXPECT_EQ(runs.at(0).at("command"), "run");
    EXPECT_EQ(runs.at(1).at("exit"), 20);
    auto shown = lab_->run({"show", runs.at(1).at("id").get<std::string>()});
    EXPECT_NE(shown.out.find("member_unreachable"), std::string::npos) << shown.text();
}

TEST_F(RunTest, AnotherJobAtWorkIsNoFailureToTellOf)
{
    run_ok();
    fs::remove(told());
    auto storage = app::open_storage(lab_->repository.string(), false);
    auto lease =
        repo::Lease::acquire(*storage, "shop", "log", repo::LeaseOwner::this_process("test"));
    EXPECT_EQ(lab_->run({"run"}).code(), 11);
    EXPECT_FALSE(fs::exists(told())) << text_of(told());
    lease->release();
    run_ok();
}

TEST_F(RunTest, AFullBackupThatIsBeingTakenIsTold)
{
    run_ok();
    auto document = lab_->run({"status", "--json"}).json();
    EXPECT_EQ(document.at("full_due"), false) << document;
    EXPECT_TRUE(document.at("full_running").is_null()) << document;
    auto storage = app::open_storage(lab_->repository.string(), false);
    auto lease =
        repo::Lease::acquire(*storage, "shop", "backup/m1", repo::LeaseOwner::this_process("test"));
    document = lab_->run({"status", "--json"}).json();
    EXPECT_EQ(document.at("full_running").at("command"), "test") << document;
    auto text = lab_->run({"status"}).out;
    EXPECT_NE(text.find("full backup: running since "), std::string::npos) << text;
}

TEST_F(RunTest, AFrozenMemberIsWaitedForOnce)
{
    run_ok();
    Frozen member(lab_->lab.cluster(1));
    auto start = std::chrono::steady_clock::now();
    auto run = lab_->run({"run", "--metrics", (lab_->folder() / "frozen.prom").string()});
    auto took = std::chrono::steady_clock::now() - start;
    member.thaw();
    EXPECT_EQ(run.code(), 22) << run.text();
    EXPECT_TRUE(run.explained()) << run.text();
    EXPECT_NE(run.err.find("member m1"), std::string::npos) << run.text();
    EXPECT_GT(took, std::chrono::seconds{9});
    EXPECT_LT(took, std::chrono::seconds{19}) << "mark.wait is 10 s";
    auto newest = lab_->run({"list", "runs", "--json"}).json().at("runs").at(0);
    auto recorded = *base::parse_time(newest.at("ended").get<std::string>()) -
                    *base::parse_time(newest.at("started").get<std::string>());
    EXPECT_GT(recorded, took - std::chrono::seconds{3}) << newest;
    run_ok();
}

TEST_F(RunTest, LogWrittenUnderMinimalWalLevelIsHealedAtOnce)
{
    run_ok();
    auto& cluster = lab_->lab.cluster(1);
    // PostgreSQL does not start with minimal while there is a slot.
    Connection::open(cluster.url())
        .exec("SELECT pg_catalog.pg_drop_replication_slot('tidemark_shop')");
    cluster.configure({{"wal_level", "minimal"}, {"max_wal_senders", "0"}});
    cluster.restart();
    Connection::open(cluster.url()).exec("CREATE TABLE public.unlogged_in_effect (id int)");
    auto inside = base::format_time(base::SystemClock().now());
    cluster.configure({{"wal_level", "replica"}, {"max_wal_senders", "10"}});
    cluster.restart();
    auto again = lab_->run({"init"}); // as `check` says for the missing slot
    ASSERT_EQ(again.code(), 0) << again.text();
    auto healed = run_ok(3);
    EXPECT_TRUE(healed.at("healed").get<bool>()) << healed;
    auto marks = lab_->run({"list", "marks", "--json"}).json().at("marks");
    EXPECT_TRUE(marks.at(0).at("restorable").get<bool>()) << marks;
    EXPECT_FALSE(marks.at(1).at("restorable").get<bool>()) << marks;
    EXPECT_TRUE(marks.at(2).at("restorable").get<bool>()) << marks;
    auto between = lab_->run({"restore", "--to", inside, "--plan"});
    EXPECT_EQ(between.code(), 3) << between.text();
    EXPECT_NE(between.err.find("wal_level was minimal"), std::string::npos) << between.text();
    auto drill = lab_->run({"drill"});
    EXPECT_TRUE(drill.code() == 0 || drill.code() == 3) << drill.text();
    auto verified = lab_->run({"verify"});
    EXPECT_EQ(verified.code(), 0) << verified.text();
    EXPECT_FALSE(run_ok().at("full").get<bool>());
}

TEST_F(RunTest, ARunThatOnlyMarksKeepsTheRecoverySheetRight)
{
    run_ok();
    auto sheet = lab_->folder() / "recovery-shop.md";
    auto before = text_of(sheet);
    EXPECT_FALSE(run_ok().at("full").get<bool>());
    EXPECT_EQ(text_of(sheet), before) << "a newer mark alone is no reason to write it";
    std::ofstream(sheet, std::ios::trunc) << "of another repository\n";
    EXPECT_FALSE(run_ok().at("full").get<bool>());
    EXPECT_NE(text_of(sheet).find("# Recovery sheet: group shop"), std::string::npos);
    fs::remove(sheet);
    EXPECT_FALSE(run_ok().at("full").get<bool>());
    EXPECT_TRUE(fs::exists(sheet));
}

/// Writes more log than a slot may hold while the files are copied, in small steps.
void keep_busy(const std::string& url, const std::stop_token& stop)
{
    auto sql = Connection::open(url);
    for (int i = 0; i < 12 && !stop.stop_requested(); ++i) {
        sql.exec("SELECT pg_catalog.pg_logical_emit_message(false, 'busy', repeat('x', 16000000))");
        sql.exec("CHECKPOINT"); // invalidates a slot that holds too much
        std::this_thread::sleep_for(std::chrono::milliseconds{400});
    }
}

TEST(BusyGroup, AFirstFullBackupDoesNotLoseTheSlot)
{
    GroupLab lab;
    for (std::size_t i = 0; i < lab.lab.size(); ++i) {
        auto sql = Connection::open(lab.lab.cluster(i).url());
        sql.exec("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'");
        sql.exec("SELECT pg_catalog.pg_reload_conf()");
    }
    auto made = lab.init();
    ASSERT_EQ(made.code(), 0) << made.text();
    auto config = text_of(lab.config);
    auto at = config.find("mark = ");
    ASSERT_NE(at, std::string::npos) << config;
    config.replace(at, config.find('\n', at) - at, "mark = { every = \"1s\" }\nrate = \"5M\"");
    std::ofstream(lab.config, std::ios::trunc) << config;
    std::jthread load(
        [&](const std::stop_token& stop) { keep_busy(lab.lab.cluster(0).url(), stop); });
    auto run = lab.run({"run", "--json"});
    EXPECT_EQ(run.code(), 0) << run.text();
    EXPECT_TRUE(run.json().at("full").get<bool>());
    EXPECT_EQ(lab.run({"verify"}).code(), 0);
}

/// Where there is no promtool (tools/fetch-promtool) it says so; with CI=true there must be one.
void expect_valid_metrics([[maybe_unused]] const fs::path& file)
{
#ifdef TIDEMARK_PROMTOOL
    auto promtool =
        base::run({"sh", "-c", TIDEMARK_PROMTOOL " check metrics < '" + file.string() + "'"});
    EXPECT_TRUE(promtool.exit.success()) << promtool.out << promtool.err;
#else
    constexpr const char* kNoPromtool = "there is no promtool, so it did not look at the metrics";
    EXPECT_FALSE(base::nothing_may_be_skipped()) << kNoPromtool;
    std::cout << "note: " << kNoPromtool << '\n';
#endif
}

TEST_F(RunTest, MetricsAreWrittenByEveryRunHoweverItEnds)
{
    run_ok();
    auto file = lab_->folder() / "tidemark.prom";
    lab_->run({"status", "--metrics", file.string()});
    EXPECT_NE(text_of(file).find("tidemark_last_run_exit{group=\"shop\"} 0\n"), std::string::npos)
        << text_of(file);
    expect_valid_metrics(file);

    auto away = lab_->folder() / "not-mounted";
    fs::rename(lab_->repository, away);
    auto failed = lab_->run({"run", "--metrics", file.string()});
    fs::rename(away, lab_->repository);
    EXPECT_GT(failed.code(), 0) << failed.text();
    EXPECT_TRUE(failed.explained()) << failed.text();
    auto metrics = text_of(file);
    for (const auto& line :
         {"tidemark_last_run_exit{group=\"shop\"} " + std::to_string(failed.code()) + "\n",
          std::string("tidemark_repository_up{group=\"shop\"} 0\n"),
          std::string("tidemark_mark_timestamp_seconds{group=\"shop\"} ")})
        EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
    EXPECT_EQ(metrics.find("tidemark_restorable"), std::string::npos) << metrics;
    expect_valid_metrics(file);

    lab_->lab.cluster(1).stop();
    failed = lab_->run({"run", "--metrics", file.string()});
    lab_->lab.cluster(1).start();
    EXPECT_EQ(failed.code(), 20) << failed.text();
    EXPECT_NE(text_of(file).find("tidemark_last_run_exit{group=\"shop\"} 20\n"), std::string::npos)
        << text_of(file);
    expect_valid_metrics(file);
    auto status = lab_->run({"status", "--exit-code"});
    EXPECT_EQ(status.code(), 3) << status.text();
    EXPECT_NE(status.out.find("LAST RUN FAILED: tidemark run"), std::string::npos) << status.text();
    auto document = lab_->run({"status", "--json"}).json();
    EXPECT_EQ(document.at("failed_run").at("exit"), 20) << document;
    run_ok();
    document = lab_->run({"status", "--json"}).json();
    EXPECT_FALSE(document.contains("failed_run")) << document;
    EXPECT_TRUE(document.at("rhythm").at("met").get<bool>()) << document;
}

TEST_F(RunTest, OneThatWasKilledIsSeenAtOnceAndToldByTheNext)
{
    run_ok();
    auto storage = app::open_storage(lab_->repository.string(), false);
    bool killed = false;
    for (int attempt = 0; attempt < 20 && !killed; ++attempt) {
        auto process = lab_->spawn({"run"});
        while (!process.wait_for(base::Duration{2000}) &&
               repo::open_runs(*storage, "shop").empty()) {
        }
        process.kill(SIGKILL);
        killed = process.wait().signal == SIGKILL;
    }
    ASSERT_TRUE(killed);

    auto list = lab_->run({"list", "runs"});
    EXPECT_NE(list.out.find("broken off"), std::string::npos) << list.text();
    auto document = lab_->run({"list", "runs", "--json"}).json();
    ASSERT_EQ(document.at("open").size(), 1U) << document;
    EXPECT_EQ(document.at("open")[0].at("broken_off"), true) << document;
    auto file = lab_->folder() / "tidemark.prom";
    auto status = lab_->run({"status", "--exit-code", "--metrics", file.string()});
    EXPECT_EQ(status.code(), 3) << status.text();
    EXPECT_NE(status.out.find("A RUN WAS BROKEN OFF"), std::string::npos) << status.text();
    EXPECT_NE(text_of(file).find("tidemark_runs_broken_off{group=\"shop\"} 1\n"),
              std::string::npos);
    EXPECT_EQ(lab_->run({"status", "--json"}).json().at("broken_off").size(), 1U);

    run_ok(3);
    auto heard = text_of(told());
    EXPECT_NE(heard.find("was broken off: no sign of `tidemark run`"), std::string::npos) << heard;
    document = lab_->run({"list", "runs", "--json"}).json();
    EXPECT_TRUE(document.at("open").empty()) << document;
    const auto& runs = document.at("runs");
    auto found = std::find_if(runs.begin(), runs.end(),
                              [](const auto& run) { return run.at("broken_off") == true; });
    ASSERT_NE(found, runs.end()) << document;
    auto shown = lab_->run({"show", found->at("id")});
    EXPECT_NE(shown.out.find("broken off: nobody saw it end"), std::string::npos) << shown.text();
    run_ok();
    EXPECT_EQ(lab_->run({"status", "--exit-code"}).code(), 0);
}

TEST_F(RunTest, MonitorsSeeWhatIsWrong)
{
    run_ok();
    auto file = lab_->folder() / "tidemark.prom";
    auto status = lab_->run({"status", "--exit-code", "--metrics", file.string()});
    EXPECT_EQ(status.code(), 0) << status.text();
    auto metrics = text_of(file);
    for (const auto* line : {"tidemark_restorable{group=\"shop\"} 1",
                             "tidemark_member_up{group=\"shop\",member=\"m0\"} 1",
                             "tidemark_slot_ok{group=\"shop\",member=\"m1\"} 1"})
        EXPECT_NE(metrics.find(line), std::string::npos) << line << '\n' << metrics;

    auto check = lab_->run({"check"});
    EXPECT_NE(check.out.find("on_failure"), std::string::npos) << check.text();
    auto hook = lab_->folder() / "tell";
    fs::permissions(hook, fs::perms::owner_read);
    check = lab_->run({"check", "--json"});
    fs::permissions(hook, fs::perms::owner_all);
    const auto checks = check.json().at("checks");
    auto named = std::find_if(checks.begin(), checks.end(),
                              [](const auto& one) { return one.at("check") == "on_failure"; });
    ASSERT_NE(named, checks.end()) << check.text();
    EXPECT_EQ(named->at("state"), "waiting") << check.text();
    EXPECT_NE(named->at("cause").get<std::string>().find("Permission denied"), std::string::npos)
        << check.text();

    auto nagios = lab_->run({"check", "--nagios"});
    EXPECT_NE(nagios.out.find("TIDEMARK "), std::string::npos) << nagios.text();
    EXPECT_EQ(std::count(nagios.out.begin(), nagios.out.end(), '\n'), 1) << nagios.out;

    lab_->lab.cluster(1).stop();
    EXPECT_EQ(lab_->run({"status"}).code(), 0);
    EXPECT_EQ(lab_->run({"status", "--exit-code", "--metrics", file.string()}).code(), 3);
    EXPECT_NE(text_of(file).find("tidemark_member_up{group=\"shop\",member=\"m1\"} 0"),
              std::string::npos);
    nagios = lab_->run({"check", "--nagios"});
    EXPECT_EQ(nagios.code(), 2) << nagios.text();
    EXPECT_NE(nagios.out.find("TIDEMARK CRITICAL - shop: m1"), std::string::npos) << nagios.out;
    lab_->lab.cluster(1).start();
}

} // namespace
} // namespace tidemark::support
