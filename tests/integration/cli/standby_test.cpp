// A member whose url names two servers, one the streaming standby of the other: whichever is the
// primary is the member, and our slot on the standby keeps what is not stored, so that the chain of
// log goes on without a gap through a failover, a switchover and back (rules 13, 14, 24).

#include "base/fd.h"
#include "cli/shared_group.h"
#include "cli/standbys.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using app::LabCluster;
using nlohmann::json;

constexpr const char* kSlotRestart =
    "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'tidemark_shop'";

/// The cases are one story and run in their order, each on what the one before left.
class StandbyTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            s0_ = new_standby("s0", lab_->lab.folder(), m0());
            auto made =
                must(lab_->run({"init", "m0=" + url_of({&m0(), s0_.get()}), "m1=" + m1().url(),
                                "--repo", lab_->repository.string(), "--group", "shop"}));
            EXPECT_NE(made.err.find("our slot was made on standby"), std::string::npos)
                << made.text();
            must(lab_->backup("base"));
        });
    }
    static void TearDownTestSuite()
    {
        for (const auto* dir : {"r1", "r2"})
            stop_restored(lab_->target(dir));
        s0_.reset();
        lab_.reset();
    }

    static LabCluster& m0() { return lab_->lab.cluster(0); }
    static LabCluster& m1() { return lab_->lab.cluster(1); }

    static app::BankOptions load_options(const LabCluster& primary)
    {
        auto options = lab_->bank;
        options.members[0].url = primary.url();
        return options;
    }

    /// Transfers across both members, the first one reached at `primary`.
    static void load(const LabCluster& primary, std::uint64_t transfers)
    {
        app::Bank bank(load_options(primary), lab_->witness);
        bank.start();
        lab_->commits(bank, transfers);
        bank.stop();
    }

    static json member_status(const std::string& name)
    {
        auto status = lab_->run({"status", "--json"});
        EXPECT_EQ(status.code(), 0) << status.text();
        auto document = status.json();
        for (const auto& member : document.at("members")) {
            if (member.at("name") == name) return member;
        }
        return {};
    }

    static void expect_restored(const std::string& mark, const std::string& dir)
    {
        auto run = lab_->restore({"--to", mark}, dir);
        ASSERT_EQ(run.code(), 0) << run.text();
        auto verdict = lab_->check(run, mark);
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        stop_restored(lab_->target(dir));
        fs::remove_all(lab_->target(dir));
    }

    static std::unique_ptr<LabCluster> s0_;
};

std::unique_ptr<LabCluster> StandbyTest::s0_;

// rule 14, 15
TEST_F(StandbyTest, TheSlotOnTheStandbyKeepsWhatIsNotStoredAndNoMore)
{
    load(m0(), 50);
    ASSERT_TRUE(caught_up(*s0_, m0()));
    auto before = ask(s0_->url(), kSlotRestart);
    auto log = lab_->run({"log", "--json"});
    ASSERT_EQ(log.code(), 0) << log.text();
    auto stored = log.json().at("members").at(0).at("end").get<std::string>();
    // Up to what is durable in the repository or replayed there, never beyond it.
    EXPECT_EQ(ask(s0_->url(), "SELECT restart_lsn > '" + before + "' AND restart_lsn <= '" +
                                  stored + "' FROM pg_replication_slots"),
              "t")
        << log.text();
    auto member = member_status("m0");
    ASSERT_EQ(member.at("standbys").size(), 1U) << member;
    EXPECT_TRUE(member.at("standbys")[0].at("slot").at("exists").get<bool>());
    EXPECT_EQ(member.at("role"), "primary");
    auto check = lab_->run({"check"});
    EXPECT_EQ(check.code(), 0) << check.text();
    EXPECT_NE(check.out.find("standby"), std::string::npos) << check.text();
}

// rule 13, 14
TEST_F(StandbyTest, AFailoverAfterLoadLeavesNoGap)
{
    load(m0(), 100); // none of it is stored before the failover
    ASSERT_TRUE(caught_up(*s0_, m0()));
    m0().kill9();
    ASSERT_EQ(ask(s0_->url(), "SELECT pg_promote()"), "t");
    // Segments that no slot needs go now.
    ask(s0_->url(), "SELECT pg_switch_wal()");
    engine::postgres::Connection::open(s0_->url()).exec("CHECKPOINT");
    load(*s0_, 50);
    auto mark = lab_->mark("over");
    EXPECT_EQ(mark.code(), 3) << mark.text(); // what happened, and that the old one is down
    EXPECT_NE(mark.err.find("failed over"), std::string::npos) << mark.text();
    EXPECT_EQ(mark.json().at("mark").at("lost").size(), 0U) << mark.text();
    auto member = member_status("m0");
    EXPECT_EQ(member.at("chain"), "complete");
    EXPECT_EQ(member.at("timeline"), 2);
    auto verify = lab_->run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
    expect_restored("over", "r1");
}

// rule 13
TEST_F(StandbyTest, TheOldPrimaryThatComesBackIsToldAndTheChainGoesOn)
{
    m0().start(); // accepts writes on timeline 1
    load(*s0_, 10);
    auto mark = lab_->mark("beside");
    EXPECT_EQ(mark.code(), 3) << mark.text();
    EXPECT_NE(mark.err.find("accepts writes, too, on timeline 1"), std::string::npos)
        << mark.text();
    EXPECT_EQ(member_status("m0").at("timeline"), 2);
    auto check = lab_->run({"check"});
    EXPECT_NE(check.out.find("accepts writes, too"), std::string::npos) << check.text();
    // When only the old one answers, its log is not taken for the member's.
    s0_->stop();
    auto wrong = lab_->run({"log"});
    EXPECT_EQ(wrong.code(), 24) << wrong.text();
    EXPECT_TRUE(wrong.explained()) << wrong.text();
    s0_->start();
    m0().stop();
}

// rule 14
TEST_F(StandbyTest, AStandbyThatIsDownIsOnlyAWarning)
{
    auto down = lab_->mark("alone");
    EXPECT_EQ(down.code(), 3) << down.text();
    EXPECT_NE(down.err.find("a failover to it now could leave a gap"), std::string::npos)
        << down.text();
    become_standby(m0(), *s0_);
    auto first = lab_->run({"log"});
    EXPECT_EQ(first.code(), 0) << first.text();
    EXPECT_NE(first.err.find("our slot was made on standby"), std::string::npos) << first.text();
    load(*s0_, 20);
    ASSERT_TRUE(caught_up(m0(), *s0_));
    auto second = lab_->mark("both");
    EXPECT_EQ(second.code(), 0) << second.text();
    expect_restored("both", "r1");
}

// rule 10, 20
TEST_F(StandbyTest, ABaseBackupReadsAStandby)
{
    auto text = std::string(base::as_text(base::read_file(lab_->config, 1U << 20)));
    auto end = text.find('\n', text.find("name = \"m0\""));
    auto with = text;
    with.insert(end + 1, fmt::format("backup_from = \"{}\"\n", m0().url()));
    std::ofstream(lab_->config, std::ios::trunc) << with;
    app::Bank bank(load_options(*s0_), lab_->witness);
    bank.start();
    lab_->commits(bank, 20);
    auto backup = lab_->backup("from-standby");
    bank.stop();
    ASSERT_EQ(backup.code(), 0) << backup.text();
    EXPECT_TRUE(backup.json().at("members").at(0).at("over_wire").get<bool>());
    auto show =
        lab_->run({"show", "--json",
                   "m0/" + backup.json().at("members").at(0).at("backup").get<std::string>()});
    EXPECT_NE(show.text().find("BACKUP FROM: standby"), std::string::npos) << show.text();
    expect_restored("from-standby", "r1");
    // Without the standby the primary has to do.
    m0().stop();
    auto instead = lab_->backup("instead");
    EXPECT_EQ(instead.code(), 3) << instead.text();
    EXPECT_NE(instead.err.find("read from the primary instead"), std::string::npos)
        << instead.text();
    m0().start();
    // Another member's server is no standby of this one.
    with = text;
    with.insert(end + 1, fmt::format("backup_from = \"{}\"\n", m1().url()));
    std::ofstream(lab_->config, std::ios::trunc) << with;
    auto wrong = lab_->run({"backup"});
    EXPECT_EQ(wrong.code(), 24) << wrong.text();
    EXPECT_TRUE(wrong.explained()) << wrong.text();
    std::ofstream(lab_->config, std::ios::trunc) << text;
}

// rule 13, 14
TEST_F(StandbyTest, ASwitchoverAndBackLeavesNoGap)
{
    auto switch_over = [&](LabCluster& from, LabCluster& to, int timeline) {
        load(from, 30);
        ASSERT_TRUE(caught_up(to, from));
        from.stop();
        ASSERT_EQ(ask(to.url(), "SELECT pg_promote()"), "t");
        follow(from, to);
        load(to, 30);
        ASSERT_TRUE(caught_up(from, to));
        auto name = fmt::format("on-{}", timeline);
        auto mark = lab_->mark(name);
        EXPECT_EQ(mark.code(), 3) << mark.text();
        EXPECT_NE(mark.err.find("failed over"), std::string::npos) << mark.text();
        auto quiet = lab_->run({"log"});
        EXPECT_EQ(quiet.code(), 0) << quiet.text();
        auto member = member_status("m0");
        EXPECT_EQ(member.at("timeline"), timeline);
        EXPECT_EQ(member.at("chain"), "complete") << member;
        expect_restored(name, "r2");
    };
    switch_over(*s0_, m0(), 3);
    switch_over(m0(), *s0_, 4);
    auto audit = lab_->run({"audit", "on-4"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    expect_restored("over", "r2"); // and the marks before are as good as they were
}

} // namespace
} // namespace tidemark::support
