// Members come and go: one joins a group that is at work, and leaves it again. What was stored of
// it stays as long as the marks that need it; the configuration file keeps what people wrote into
// it.

#include "base/fd.h"
#include "base/mount_testing.h"
#include "cli/shared_group.h"
#include "cli/standbys.h"
#include "engine/postgres/pq.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

using app::LabCluster;
using engine::postgres::Connection;

constexpr const char* kSlots =
    "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tidemark_shop'";

/// The cases are one story and run in their order, each on what the one before left.
class MembersTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            third_ = std::make_unique<LabCluster>(
                app::LabClusterOptions{.name = "m2",
                                       .folder = lab_->lab.folder(),
                                       .settings = {{"max_slot_wal_keep_size", "4GB"}}});
            third_->start();
            standby_ = new_standby("s2", lab_->lab.folder(), *third_);
            must(lab_->init());
            auto text = config() + "\n# The end, said Jim.\n";
            std::ofstream(lab_->config, std::ios::trunc) << "# Ours.\n" << text;
            must(lab_->backup("two"));
        });
    }
    static void TearDownTestSuite()
    {
        for (const auto* dir : {"r1", "r2"})
            stop_restored(lab_->target(dir));
        standby_.reset();
        third_.reset();
        lab_.reset();
    }

    static std::string config()
    {
        return std::string(base::as_text(base::read_file(lab_->config, 1U << 20)));
    }
    static std::string third_url() { return url_of({third_.get(), standby_.get()}); }

    static std::unique_ptr<LabCluster> third_;
    static std::unique_ptr<LabCluster> standby_;
    static std::string before_;
};

std::unique_ptr<LabCluster> MembersTest::third_;
std::unique_ptr<LabCluster> MembersTest::standby_;
std::string MembersTest::before_;

TEST_F(MembersTest, InitSaysWhatIsMissing)
{
    LabCluster poor(
        {.name = "poor",
         .folder = lab_->lab.folder(),
         .settings = {{"max_slot_wal_keep_size", "4GB"}, {"max_prepared_transactions", "0"}}});
    poor.start();
    Tool::Arguments arguments{"init",     "poor=" + poor.url(),
                              "--repo",   (lab_->folder() / "poor-repository").string(),
                              "--group",  "poor",
                              "--config", (lab_->folder() / "poor.toml").string()};
    auto init = lab_->tool.run(arguments);
    EXPECT_EQ(init.code(), 0) << init.text();
    EXPECT_NE(init.out.find("missing: max_prepared_transactions"), std::string::npos)
        << init.text();
    EXPECT_NE(init.out.find("ALTER SYSTEM SET max_prepared_transactions"), std::string::npos)
        << init.text();
    EXPECT_EQ(init.out.find("missing: slot"), std::string::npos) << init.text();
    auto again = lab_->tool.run({"init", "--config", arguments.back(), "--json"});
    EXPECT_EQ(again.code(), 0) << again.text();
    EXPECT_EQ(again.json().at("members").at(0).at("recorded"), false) << again.text();
    // A file that was written by hand is as good a beginning.
    std::filesystem::remove(lab_->folder() / "recovery-poor.md");
    again = lab_->tool.run({"init", "--config", arguments.back()});
    EXPECT_NE(again.out.find("Recovery sheet: group poor"), std::string::npos) << again.text();
    EXPECT_NE(again.out.find("next: tidemark check, then tidemark backup"), std::string::npos)
        << again.text();
    EXPECT_TRUE(std::filesystem::exists(lab_->folder() / "recovery-poor.md"));
}

TEST_F(MembersTest, NoSlotIsMadeForAFileThatCannotBeWritten)
{
    SmallDisk disk(lab_->folder() / "fixed", "size=1m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto file = disk.path() / "tidemark.toml";
    std::filesystem::copy_file(lab_->config, file);
    disk.read_only();
    auto refused = lab_->tool.run({"add-member", "m2=" + third_url(), "--config", file.string()});
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_NE(refused.err.find("cannot be changed"), std::string::npos) << refused.text();
    EXPECT_EQ(ask(third_->url(), kSlots), "0");
    refused = lab_->tool.run({"leave", "m1", "--yes", "--config", file.string()});
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_EQ(ask(lab_->lab.cluster(1).url(), kSlots), "1");
}

TEST_F(MembersTest, APlanChangesNothing)
{
    before_ = config();
    auto plan = lab_->run({"add-member", "m2=" + third_url(), "--plan"});
    EXPECT_EQ(plan.code(), 0) << plan.text();
    EXPECT_NE(plan.out.find("[[group.shop.member]]"), std::string::npos) << plan.text();
    EXPECT_NE(plan.out.find("standby"), std::string::npos) << plan.text();
    EXPECT_EQ(config(), before_);
    EXPECT_EQ(ask(third_->url(), kSlots), "0");
    // The same server under another name, and another server under the same name.
    auto twin = lab_->run({"add-member", "again=" + lab_->lab.cluster(0).url()});
    EXPECT_EQ(twin.code(), 2) << twin.text();
    EXPECT_TRUE(twin.explained()) << twin.text();
    auto taken = lab_->run({"add-member", third_url(), "--name", "m1"});
    EXPECT_EQ(taken.code(), 2) << taken.text();
}

// rule 6, 14
TEST_F(MembersTest, AMemberJoinsAndTheNextRunTakesAFullBackup)
{
    Connection::open(third_->url())
        .exec("BEGIN; CREATE TABLE public.early (i int); PREPARE TRANSACTION 'early'");
    auto joined = lab_->run({"add-member", "m2=" + third_url(), "--json"});
    ASSERT_EQ(joined.code(), 0) << joined.text();
    EXPECT_EQ(joined.json().at("seeds"), 1) << joined.text();
    for (const auto* url : {&*third_, &*standby_})
        EXPECT_EQ(ask(url->url(), kSlots), "1");
    auto now = config();
    EXPECT_TRUE(now.starts_with("# Ours.\n"));
    EXPECT_TRUE(now.ends_with("# The end, said Jim.\n"));
    EXPECT_NE(now.find("name = \"m2\""), std::string::npos);
    auto run = lab_->run({"run", "--json"});
    EXPECT_TRUE(run.code() == 0 || run.code() == 3) << run.text();
    auto document = run.json();
    EXPECT_TRUE(document.at("full").get<bool>()) << run.text();
    EXPECT_FALSE(document.at("healed").get<bool>()) << run.text();
    EXPECT_NE(document.at("why").get<std::string>().find("m2 has no base backup"),
              std::string::npos);
    auto mark = lab_->mark("three");
    ASSERT_TRUE(mark.code() == 0 || mark.code() == 3) << mark.text();
    EXPECT_EQ(mark.json().at("mark").at("members").size(), 3U);
    // Prepared before we came: nobody knows its fate.
    auto restored = lab_->restore({"--to", "three"}, "r1");
    EXPECT_EQ(restored.code(), 3) << restored.text();
    EXPECT_NE(restored.text().find("early"), std::string::npos) << restored.text();
    stop_restored(lab_->target("r1"));
    Connection::open(third_->url()).exec("ROLLBACK PREPARED 'early'");
    auto audit = lab_->run({"audit", "three"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
}

TEST_F(MembersTest, LeavingNeedsAYesAndKeepsTheBackups)
{
    auto asked = lab_->run({"leave", "m2"});
    EXPECT_EQ(asked.code(), 2) << asked.text();
    EXPECT_NE(asked.err.find("--yes"), std::string::npos) << asked.text();
    EXPECT_EQ(ask(third_->url(), kSlots), "1");
    auto left = lab_->run({"leave", "m2", "--yes"});
    ASSERT_EQ(left.code(), 0) << left.text();
    EXPECT_NE(left.out.find("ALTER SYSTEM RESET max_slot_wal_keep_size"), std::string::npos);
    for (const auto* url : {&*third_, &*standby_})
        EXPECT_EQ(ask(url->url(), kSlots), "0");
    EXPECT_EQ(config(), before_);
    auto sheet = base::read_file(lab_->folder() / "recovery-shop.md", 1U << 20);
    EXPECT_EQ(base::as_text(sheet).find("member m2"), std::string::npos) << base::as_text(sheet);
    EXPECT_NE(base::as_text(sheet).find("member m1"), std::string::npos);
    auto mark = lab_->mark("two-again");
    EXPECT_EQ(mark.code(), 0) << mark.text();
    EXPECT_EQ(mark.json().at("mark").at("members").size(), 2U);
    auto audit = lab_->run({"audit", "two-again"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    auto status = lab_->run({"status", "--json"});
    EXPECT_EQ(status.json().at("left"), nlohmann::json::array({"m2"})) << status.text();
    auto verify = lab_->run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
    // The newest that it has stays with the mark that needs it.
    auto expire = lab_->run({"expire"});
    EXPECT_EQ(expire.code(), 0) << expire.text();
    auto restored = lab_->restore({"--to", "three"}, "r2");
    EXPECT_EQ(restored.code(), 3) << restored.text();
    EXPECT_EQ(restored.json().at("report").at("members").size(), 3U);
    stop_restored(lab_->target("r2"));
}

/// Whoever deletes a block, or writes a configuration of its own on another host.
TEST_F(MembersTest, ABlockThatIsDeletedIsNoDeparture)
{
    const auto whole = config();
    auto block = whole.find("[[group.shop.member]]", whole.find("[[group.shop.member]]") + 1);
    auto end = whole.find("# The end");
    ASSERT_LT(block, end);
    std::ofstream(lab_->config, std::ios::trunc) << whole.substr(0, block) << whole.substr(end);
    for (const auto& refused : {lab_->mark("one"), lab_->backup("one"), lab_->run({"run"})}) {
        EXPECT_EQ(refused.code(), 24) << refused.text();
        EXPECT_NE(refused.err.find("tidemark leave m1"), std::string::npos) << refused.text();
    }
    auto status = lab_->run({"status", "--json"});
    EXPECT_EQ(status.json().at("unnamed"), nlohmann::json::array({"m1"})) << status.text();
    EXPECT_NE(lab_->run({"check"}).text().find("does not name: m1"), std::string::npos);
    auto left = lab_->run({"leave", "m1", "--yes"});
    EXPECT_EQ(left.code(), 0) << left.text();
    auto mark = lab_->mark("one");
    EXPECT_EQ(mark.code(), 0) << mark.text();

    std::ofstream(lab_->config, std::ios::trunc) << whole;
    auto refused = lab_->mark("two-once-more");
    EXPECT_NE(lab_->run({"status"}).text().find("has left"), std::string::npos);
    EXPECT_EQ(refused.code(), 24) << refused.text();
    EXPECT_NE(refused.err.find("m1 has left group shop"), std::string::npos) << refused.text();
    auto again = lab_->run({"init"});
    EXPECT_TRUE(again.code() == 0 || again.code() == 3) << again.text();
    auto backup = lab_->backup("two-once-more");
    EXPECT_EQ(backup.code(), 0) << backup.text();
}

TEST_F(MembersTest, ASlotThatNothingUsesIsListed)
{
    auto& server = lab_->lab.cluster(0);
    Connection::open(server.url())
        .exec("SELECT pg_create_physical_replication_slot('tidemark_gone', true)");
    auto status = lab_->run({"status", "--json"});
    auto members = status.json().at("members");
    ASSERT_EQ(members.at(0).at("stray_slots").size(), 1U) << status.text();
    EXPECT_EQ(members.at(0).at("stray_slots").at(0).at("name"), "tidemark_gone");
    auto check = lab_->run({"check"});
    EXPECT_NE(check.out.find("tidemark_gone"), std::string::npos) << check.text();
    Connection::open(server.url()).exec("SELECT pg_drop_replication_slot('tidemark_gone')");
}

// rule 15
TEST_F(MembersTest, AnotherConsumerOfOurSlotIsFound)
{
    auto& server = lab_->lab.cluster(0);
    Connection::open(server.url()).exec("SELECT pg_switch_wal()");
    Connection::open(server.url())
        .exec("SELECT pg_replication_slot_advance('tidemark_shop', pg_current_wal_flush_lsn())");
    Connection::open(server.url()).exec("SELECT pg_switch_wal()");
    Connection::open(server.url()).exec("CHECKPOINT"); // what was confirmed goes
    auto check = lab_->run({"check", "--json"});
    EXPECT_NE(check.code(), 0) << check.text();
    EXPECT_NE(check.out.find("slot_position"), std::string::npos) << check.text();
    auto run = lab_->run({"run"});
    EXPECT_EQ(run.code(), 3) << run.text();
    EXPECT_EQ(lab_->run({"check"}).code(), 0);
}

TEST_F(MembersTest, AWholeGroupLeaves)
{
    auto left = lab_->run({"leave", "--yes", "--json"});
    ASSERT_EQ(left.code(), 0) << left.text();
    EXPECT_EQ(left.json().at("servers").size(), 2U);
    for (std::size_t i = 0; i < 2; ++i)
        EXPECT_EQ(ask(lab_->lab.cluster(i).url(), kSlots), "0");
    auto now = config();
    EXPECT_EQ(now.find("group.shop"), std::string::npos) << now;
    EXPECT_NE(now.find("[repository.main]"), std::string::npos) << now;
    auto marks = lab_->tool.run({"list", "marks", "--repo", lab_->repository.string()});
    EXPECT_EQ(marks.code(), 0) << marks.text();
    EXPECT_NE(marks.out.find("three"), std::string::npos) << marks.text();
    auto nobody = lab_->run({"status"});
    EXPECT_EQ(nobody.code(), 2) << nobody.text();
    EXPECT_NE(nobody.err.find("has no group"), std::string::npos) << nobody.text();
    auto monitor = lab_->run({"check", "--nagios"});
    EXPECT_EQ(monitor.code(), 3) << monitor.text();
    EXPECT_TRUE(monitor.out.starts_with("TIDEMARK UNKNOWN - ")) << monitor.text();
}

} // namespace
} // namespace tidemark::support
