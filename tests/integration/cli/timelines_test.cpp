// Histories of one cluster that go different ways: a restored group that goes on as production, two
// standbys promoted to one timeline number, a tail that was lost together with a prepare (rules 13,
// 14, 24).

#include "base/fd.h"
#include "cli/group_lab.h"
#include "cli/standbys.h"
#include "engine/postgres/pq.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

using app::LabCluster;
using engine::postgres::Connection;

class TimelinesTest : public ::testing::Test {
protected:
    void TearDown() override
    {
        for (const auto* dir : {"r1", "r2"})
            stop_restored(lab_.target(dir));
    }

    LabCluster& m0() { return lab_.lab.cluster(0); }

    void load(const LabCluster& primary, std::uint64_t transfers)
    {
        auto options = lab_.bank;
        options.members[0].url = primary.url();
        app::Bank bank(options, lab_.witness);
        bank.start();
        lab_.commits(bank, transfers);
        bank.stop();
    }

    /// The configuration with other urls, one for each member.
    void point_at(const std::vector<std::string>& urls)
    {
        auto text = std::string(base::as_text(base::read_file(lab_.config, 1U << 20)));
        std::string out;
        std::size_t member = 0;
        while (!text.empty()) {
            auto line = text.substr(0, text.find('\n') + 1);
            text.erase(0, line.size());
            if (line.starts_with("data_dir")) continue;
            if (line.starts_with("url ") && line.find("postgresql:") != std::string::npos &&
                member < urls.size())
                line = "url  = \"" + urls[member++] + "\"\n";
            out += line;
        }
        ASSERT_EQ(member, urls.size());
        std::ofstream(lab_.config, std::ios::trunc) << out;
    }

    void begin()
    {
        auto made = lab_.init();
        ASSERT_EQ(made.code(), 0) << made.text();
        auto backup = lab_.backup("base");
        ASSERT_EQ(backup.code(), 0) << backup.text();
    }

    GroupLab lab_;
};

// rule 13, 24
TEST_F(TimelinesTest, ARestoredGroupGoesOnAsProduction)
{
    begin();
    load(m0(), 30);
    // Its record is not what the restored server has in its log.
    auto later = lab_.folder() / "later";
    std::filesystem::create_directory(later);
    app::give_to_lab_user(later);
    Connection::open(m0().url())
        .exec("CREATE TABLESPACE later LOCATION " + Connection::literal(later.native()));
    auto mark = lab_.mark("chosen");
    ASSERT_EQ(mark.code(), 0) << mark.text();
    load(m0(), 30); // and what came after it is given up
    ASSERT_EQ(lab_.run({"log"}).code(), 0);
    for (std::size_t i = 0; i < 2; ++i)
        lab_.lab.cluster(i).stop();
    auto restored = lab_.restore({"--to", "chosen", "--as-production"}, "r1");
    ASSERT_EQ(restored.code(), 0) << restored.text();
    std::vector<std::string> urls;
    const auto report = restored.json();
    for (const auto& member : report.at("report").at("members"))
        urls.push_back("postgresql:///postgres?host=" + member.at("socket_dir").get<std::string>() +
                       "&port=" + std::to_string(member.at("port").get<int>()) + "&user=postgres");
    point_at(urls);
    auto before = lab_.run({"check"});
    EXPECT_NE(before.out.find("went_back"), std::string::npos) << before.text();
    // No slot came along: a gap, which a full backup heals at once.
    auto run = lab_.run({"run", "--json"});
    EXPECT_EQ(run.code(), 3) << run.text();
    EXPECT_TRUE(run.json().at("full").get<bool>()) << run.text();
    auto again = lab_.run({"run"});
    EXPECT_EQ(again.code(), 0) << again.text();
    auto after = lab_.run({"check"});
    EXPECT_EQ(after.out.find("went_back"), std::string::npos) << "all of it did: " << after.text();
    auto status = lab_.run({"status", "--json"});
    EXPECT_FALSE(status.json().at("restorable").is_null()) << status.text();
    const auto members = status.json();
    for (const auto& member : members.at("members"))
        EXPECT_EQ(member.at("timeline"), 2) << status.text();
    auto verify = lab_.run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
    auto fresh = lab_.restore({"--to", "latest"}, "r2");
    EXPECT_EQ(fresh.code(), 0) << fresh.text();
    auto old =
        lab_.run({"restore", "--plan", "--to", "chosen", "--dir", lab_.target("never").string()});
    EXPECT_EQ(old.code(), 0) << old.text();
}

// rule 13
TEST_F(TimelinesTest, TwoServersThatMadeOneTimelineAreToldApart)
{
    auto s0 = new_standby("s0", lab_.lab.folder(), m0());
    auto s1 = new_standby("s1", lab_.lab.folder(), m0());
    auto made =
        lab_.run({"init", "m0=" + url_of({&m0(), s0.get()}), "m1=" + lab_.lab.cluster(1).url(),
                  "--repo", lab_.repository.string(), "--group", "shop"});
    ASSERT_EQ(made.code(), 0) << made.text();
    ASSERT_EQ(lab_.backup("base").code(), 0);
    load(m0(), 20);
    ASSERT_TRUE(caught_up(*s0, m0()));
    ASSERT_TRUE(caught_up(*s1, m0()));
    m0().kill9();
    for (const auto* standby : {s0.get(), s1.get()})
        ASSERT_EQ(ask(standby->url(), "SELECT pg_promote()"), "t");
    load(*s0, 20);
    auto mark = lab_.mark("over");
    EXPECT_EQ(mark.code(), 3) << mark.text();
    // Each alone on timeline 2 from the same point on; only one of them is the member.
    Connection::open(s1->url()).exec("CREATE TABLE public.elsewhere (i int)");
    auto good = std::string(base::as_text(base::read_file(lab_.config, 1U << 20)));
    auto m1 = lab_.lab.cluster(1).url();
    point_at({s1->url(), m1});
    Connection::open(s1->url()).exec(
        "SELECT pg_create_physical_replication_slot('tidemark_shop', true)");
    auto other = lab_.run({"log"});
    EXPECT_EQ(other.code(), 24) << other.text();
    EXPECT_TRUE(other.explained()) << other.text();
    // Both in the url: nobody but the operator knows.
    point_at({url_of({s0.get(), s1.get()}), m1});
    auto both = lab_.run({"log"});
    EXPECT_EQ(both.code(), 24) << both.text();
    EXPECT_NE(both.err.find("two servers"), std::string::npos) << both.text();
    std::ofstream(lab_.config, std::ios::trunc) << good;
    auto right = lab_.mark("right");
    EXPECT_EQ(right.code(), 3) << right.text(); // m0 is still down
    auto run = lab_.restore({"--to", "right"}, "r1");
    ASSERT_EQ(run.code(), 0) << run.text();
    auto verdict = lab_.check(run, "right");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
}

// rule 13, 14
TEST_F(TimelinesTest, ALostTailThatHeldAPrepareIsListedAndHeals)
{
    auto s0 = new_standby("s0", lab_.lab.folder(), m0());
    auto made =
        lab_.run({"init", "m0=" + url_of({&m0(), s0.get()}), "m1=" + lab_.lab.cluster(1).url(),
                  "--repo", lab_.repository.string(), "--group", "shop"});
    ASSERT_EQ(made.code(), 0) << made.text();
    ASSERT_EQ(lab_.backup("base").code(), 0);
    load(m0(), 20);
    for (std::size_t i = 0; i < 2; ++i)
        Connection::open(lab_.lab.cluster(i).url())
            .exec("BEGIN; CREATE TABLE public.half (i int); PREPARE TRANSACTION 'half'");
    ASSERT_TRUE(caught_up(*s0, m0()));
    {
        auto sql = Connection::open(s0->url());
        sql.exec("ALTER SYSTEM SET primary_conninfo = ''");
        sql.exec("SELECT pg_reload_conf()");
    }
    ASSERT_TRUE(eventually(
        [&] { return ask(s0->url(), "SELECT count(*) FROM pg_stat_wal_receiver") == "0"; }));
    for (std::size_t i = 0; i < 2; ++i)
        Connection::open(lab_.lab.cluster(i).url())
            .exec("BEGIN; CREATE TABLE public.torn (i int); PREPARE TRANSACTION 'torn'");
    Connection::open(lab_.lab.cluster(1).url()).exec("COMMIT PREPARED 'torn'");
    // What the standby holds as prepared ends on the tail, below a mark that lets go of it.
    for (std::size_t i = 0; i < 2; ++i)
        Connection::open(lab_.lab.cluster(i).url()).exec("COMMIT PREPARED 'half'");
    auto log = lab_.run({"log"}); // the tail is stored, and soon abandoned
    ASSERT_EQ(log.code(), 0) << log.text();
    auto seen = lab_.mark("seen");
    ASSERT_EQ(seen.json().at("mark").at("in_doubt").size(), 1U) << seen.text();
    m0().kill9();
    ASSERT_EQ(ask(s0->url(), "SELECT pg_promote()"), "t");
    auto mark = lab_.mark("torn");
    EXPECT_EQ(mark.code(), 3) << mark.text();
    ASSERT_EQ(mark.json().at("mark").at("lost").size(), 1U) << mark.text();
    EXPECT_EQ(mark.json().at("mark").at("in_doubt").size(), 1U) << "half";
    EXPECT_NE(mark.err.find("torn"), std::string::npos) << mark.text();
    auto audit = lab_.run({"audit", "torn"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    // The mark tells it once, restores behind it as long as that mark is kept; the chain has no
    // gap and the marks after it are whole.
    load(*s0, 20);
    auto next = lab_.mark("next");
    EXPECT_EQ(next.json().at("mark").at("lost").size(), 0U) << next.text();
    auto status = lab_.run({"status", "--json"});
    EXPECT_EQ(status.json().at("members").at(0).at("chain"), "complete") << status.text();
    auto run = lab_.restore({"--to", "next"}, "r1");
    ASSERT_EQ(run.code(), 3) << run.text();
    EXPECT_NE(run.out.find("lost in a failover: torn"), std::string::npos) << run.text();
    auto verdict = lab_.check(run, "next");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
}

} // namespace
} // namespace tidemark::support
