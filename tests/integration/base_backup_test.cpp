#include "engine/postgres/base_backup.h"

#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "base/error.h"
#include "engine/postgres/backup_rules.h"
#include "engine/postgres/pq.h"
#include "support/folder_sink.h"

#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using app::LabCluster;
using app::LabFolder;
using support::FolderSink;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One cluster for all cases, with a tablespace, an unlogged table and a prepared transaction.
class BaseBackupTest : public ::testing::TestWithParam<bool> {
protected:
    static void SetUpTestSuite()
    {
        folder_ = new LabFolder;
        cluster_ = new LabCluster{{.name = "m", .folder = folder_->path()}};
        cluster_->start();
        auto space = folder_->make("space");
        auto sql = connect();
        sql.exec(fmt::format("CREATE TABLESPACE far LOCATION '{}'", space.native()));
        sql.exec("CREATE TABLE big(id int, filler text)");
        sql.exec(
            "INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) i");
        sql.exec("CREATE TABLE distant(id int) TABLESPACE far");
        sql.exec("INSERT INTO distant SELECT generate_series(1, 1000)");
        sql.exec("CREATE UNLOGGED TABLE scratch(id int)");
        sql.exec("INSERT INTO scratch SELECT generate_series(1, 1000)");
        sql.exec("BEGIN; INSERT INTO big VALUES (-1, 'in doubt'); PREPARE TRANSACTION 'doubt-1'");
    }
    static void TearDownTestSuite()
    {
        delete cluster_;
        delete folder_;
    }

    static Connection connect()
    {
        return Connection::open(cluster_->url(), {.settings = {"search_path=public"}});
    }

    static MemberConfig member(bool wire)
    {
        MemberConfig config;
        config.name = "m";
        config.url = cluster_->url();
        if (!wire) config.data_dir = cluster_->data_dir();
        return config;
    }

    static BackupOptions options() { return {.label = "test 'backup'", .workers = 2}; }

    static std::string ask(const std::string& query)
    {
        return std::string(connect().exec(query).get(0, 0));
    }

    static fs::path relation(const std::string& name)
    {
        return cluster_->data_dir() / ask(fmt::format("SELECT pg_relation_filepath('{}')", name));
    }

    std::set<std::string> names_of_another();

    static LabFolder* folder_;
    static LabCluster* cluster_;
};

LabFolder* BaseBackupTest::folder_ = nullptr;
LabCluster* BaseBackupTest::cluster_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Ways, BaseBackupTest, ::testing::Values(false, true),
                         [](const auto& way) { return way.param ? "Wire" : "Local"; });

std::set<std::string> names_below(const fs::path& root)
{
    std::set<std::string> names;
    auto options = fs::directory_options::follow_directory_symlink;
    for (const auto& entry : fs::recursive_directory_iterator{root, options}) {
        names.insert(entry.path().lexically_relative(root).string());
    }
    return names;
}

/// What pg_basebackup copies; where it is not installed, what our own other way does.
std::set<std::string> BaseBackupTest::names_of_another()
{
    auto program = cluster_->install().bin / "pg_basebackup";
    if (!fs::exists(program)) {
        auto other = begin_postgres_backup(member(!GetParam()), options());
        FolderSink sink{folder_->path() / (GetParam() ? "scratch-ol" : "scratch-ow")};
        support::take_backup(*other, sink);
        std::set<std::string> names;
        for (const auto& [path, entry] : sink.entries())
            names.insert(path);
        return names;
    }
    auto theirs = folder_->make("theirs");
    auto space = folder_->make("theirs-space");
    auto mapping =
        fmt::format("{}={}", (folder_->path() / "space").native(), (space / "s").native());
    auto made = base::run({program, "-D", theirs / "d", "-X", "none", "--no-manifest", "--no-sync",
                           "-c", "fast", "-d", cluster_->conninfo(), "-T", mapping});
    EXPECT_TRUE(made.exit.success()) << made.err;
    auto names = names_below(theirs / "d");
    names.erase("backup_label");
    names.erase("tablespace_map");
    fs::remove_all(theirs);
    fs::remove_all(space);
    return names;
}

TEST_P(BaseBackupTest, HoldsWhatPgBasebackupHolds)
{
    auto source = begin_postgres_backup(member(GetParam()), options());
    EXPECT_EQ(source->begin().over_wire, GetParam());
    EXPECT_EQ(source->begin().start.epoch, 1U);
    EXPECT_GT(source->begin().estimated_bytes, 40'000'000U);
    auto facts = source->facts();
    EXPECT_EQ(facts.bootstrap_superuser, "postgres");
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-w" : "scratch-l")};
    auto end = support::take_backup(*source, sink);
    EXPECT_THAT(sink.complaint(), IsEmpty());

    EXPECT_GE(end.stop.offset, source->begin().start.offset);
    EXPECT_EQ(end.stop.epoch, 1U);
    EXPECT_THAT(end.backup_label, HasSubstr("LABEL: test 'backup'"));
    EXPECT_THAT(end.backup_label, HasSubstr("START TIMELINE: 1"));
    EXPECT_THAT(end.tablespace_map, HasSubstr((folder_->path() / "space").native()));
    EXPECT_THAT(end.damaged, IsEmpty());
    EXPECT_GT(end.pages_verified, 5000U);
    ASSERT_EQ(end.prepared_xids.size(), 1U);
    EXPECT_EQ(std::to_string(end.prepared_xids[0]),
              ask("SELECT transaction FROM pg_prepared_xacts"));

    std::set<std::string> ours;
    for (const auto& [path, entry] : sink.entries())
        ours.insert(path);
    EXPECT_EQ(ours, names_of_another());
}

TEST_P(BaseBackupTest, LeavesOutWhatIsNotToBeKept)
{
    auto temporary = connect();
    temporary.exec("CREATE TEMP TABLE mine AS SELECT generate_series(1, 10) AS id");
    std::string temporary_path{temporary.exec("SELECT pg_relation_filepath('mine')").get(0, 0)};
    auto unlogged = fs::relative(relation("scratch"), cluster_->data_dir()).string();
    auto source = begin_postgres_backup(member(GetParam()), options());
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-lw" : "scratch-ll")};
    support::take_backup(*source, sink);
    EXPECT_FALSE(sink.entries().contains(temporary_path));
    EXPECT_FALSE(sink.entries().contains(unlogged));
    EXPECT_TRUE(sink.entries().contains(unlogged + "_init"));
    EXPECT_FALSE(sink.entries().contains("postmaster.pid"));
    EXPECT_TRUE(sink.entries().contains("global/pg_control"));
    EXPECT_TRUE(sink.entries().contains("pg_replslot"));
}

// Its file holds four bytes for every subtransaction, so it may be larger than an extent.
TEST_P(BaseBackupTest, APreparedTransactionOfAnySizeIsWhole)
{
    auto sql = connect();
    sql.exec("CREATE TABLE many(id int)");
    sql.exec("BEGIN");
    sql.exec("DO $$ BEGIN FOR i IN 1..265000 LOOP BEGIN INSERT INTO many VALUES (i); "
             "EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$");
    sql.exec("PREPARE TRANSACTION 'many-children'");
    sql.exec("CHECKPOINT");
    auto xid = ask("SELECT transaction FROM pg_prepared_xacts WHERE gid = 'many-children'");
    // From 17 on the name holds the epoch, too.
    auto path = fmt::format("pg_twophase/{:0{}X}", std::stoul(xid),
                            cluster_->install().major >= 17 ? 16 : 8);
    auto theirs = base::read_file(cluster_->data_dir() / path, 16U << 20);
    auto source = begin_postgres_backup(member(GetParam()), options());
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-pw" : "scratch-pl")};
    auto end = support::take_backup(*source, sink);
    sql.exec("ROLLBACK PREPARED 'many-children'");
    sql.exec("DROP TABLE many");
    ASSERT_GT(theirs.size(), 1U << 20) << "the test needs a larger transaction";
    EXPECT_THAT(end.damaged, IsEmpty());
    auto placed = folder_->make(GetParam() ? "placed-pw" : "placed-pl");
    sink.place(placed, placed / "tablespaces");
    EXPECT_TRUE(base::read_file(placed / path, 16U << 20) == theirs);
}

TEST_P(BaseBackupTest, NamesAPageThatRotted)
{
    auto sql = connect();
    sql.exec("DROP TABLE IF EXISTS rotten");
    sql.exec("CREATE TABLE rotten AS SELECT i, repeat('x', 500) FROM generate_series(1, 300) i");
    sql.exec("CHECKPOINT");
    auto path = relation("rotten");
    {
        auto file = base::open_file(path, O_RDWR);
        base::pwrite_full(file.get(), base::as_bytes("rot"), 3 * 8192 + 5000, path.native());
    }
    auto source = begin_postgres_backup(member(GetParam()), options());
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-rw" : "scratch-rl")};
    auto end = support::take_backup(*source, sink);
    sql.exec("DROP TABLE rotten");
    ASSERT_EQ(end.damaged.size(), 1U);
    EXPECT_EQ(end.damaged[0].path, fs::relative(path, cluster_->data_dir()).string());
    EXPECT_EQ(end.damaged[0].block, 3U);
    EXPECT_THAT(end.damaged[0].why, HasSubstr("checksum"));
    EXPECT_EQ(end.pages_reread, 5U);
}

TEST_P(BaseBackupTest, ReadsTornPagesAgain)
{
    auto sql = connect();
    sql.exec("DROP TABLE IF EXISTS torn");
    sql.exec("CREATE TABLE torn AS SELECT i, repeat('x', 500) FROM generate_series(1, 2000) i");
    sql.exec("CHECKPOINT");
    auto path = relation("torn");
    auto file = base::open_file(path, O_RDWR);
    base::Bytes whole(8192);
    base::pread_full(file.get(), whole, 0, path.native());
    auto source = begin_postgres_backup(member(GetParam()), options());
    // A writer that is often seen in the middle of its write, but never for long.
    std::jthread writer{[&](const std::stop_token& stop) {
        auto half = whole;
        half[6000] ^= std::byte{0x55};
        while (!stop.stop_requested()) {
            base::pwrite_full(file.get(), half, 0, path.native());
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
            base::pwrite_full(file.get(), whole, 0, path.native());
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        base::pwrite_full(file.get(), whole, 0, path.native());
    }};
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-tw" : "scratch-tl")};
    auto end = support::take_backup(*source, sink);
    writer.request_stop();
    writer.join();
    EXPECT_THAT(end.damaged, IsEmpty());
    fs::path placed = folder_->path() / (GetParam() ? "placed-tw" : "placed-tl");
    sink.place(placed, placed.native() + "-ts");
    auto copied = base::read_file(placed / fs::relative(path, cluster_->data_dir()), 2U << 20);
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), copied.begin()));
    sql.exec("DROP TABLE torn");
    fs::remove_all(placed);
}

TEST_P(BaseBackupTest, SurvivesDropsAndGrowthMeanwhile)
{
    auto sql = connect();
    std::jthread ddl{[&](const std::stop_token& stop) {
        auto mine = connect();
        for (int i = 0; !stop.stop_requested(); ++i) {
            mine.exec(fmt::format("CREATE TABLE passing{} AS SELECT generate_series(1, 5000)", i));
            mine.exec("INSERT INTO distant SELECT generate_series(1, 1000)");
            mine.exec("CHECKPOINT");
            mine.exec(fmt::format("DROP TABLE passing{}", i));
            mine.exec("TRUNCATE distant");
        }
    }};
    for (int i = 0; i < 3; ++i) {
        auto source = begin_postgres_backup(member(GetParam()), options());
        FolderSink sink{folder_->path() / fmt::format("scratch-d{}{}", GetParam() ? "w" : "l", i)};
        auto end = support::take_backup(*source, sink);
        EXPECT_THAT(end.damaged, IsEmpty());
        EXPECT_THAT(sink.complaint(), IsEmpty());
    }
}

TEST_P(BaseBackupTest, ALostSessionIsUnreachableAndLeavesNoBackupBehind)
{
    auto source = begin_postgres_backup(member(GetParam()), options());
    auto sql = connect();
    sql.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
             "WHERE application_name LIKE 'tidemark%b%' AND pid <> pg_backend_pid()");
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-uw" : "scratch-ul")};
    try {
        support::take_backup(*source, sink);
        FAIL() << "a void backup was called good";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_unreachable) << error.what();
    }
    source.reset();
    begin_postgres_backup(member(GetParam()), options());
}

// rule 16
TEST_P(BaseBackupTest, TheServersOwnArchiveIsNotWaitedFor)
{
    LabCluster stuck{{.name = GetParam() ? "stuck-w" : "stuck-l",
                      .folder = folder_->path(),
                      .settings = {{"archive_mode", "on"}, {"archive_command", "false"}}}};
    stuck.start();
    auto config = member(GetParam());
    config.url = stuck.url();
    if (config.data_dir) config.data_dir = stuck.data_dir();
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-aw" : "scratch-al")};
    auto taken = std::async(std::launch::async, [&] {
        auto source = begin_postgres_backup(config, options());
        return support::take_backup(*source, sink);
    });
    if (taken.wait_for(std::chrono::seconds{30}) != std::future_status::ready) {
        ADD_FAILURE() << "the backup waits for log to be archived";
        Connection::open(stuck.url())
            .exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  "WHERE pid <> pg_backend_pid() AND application_name LIKE 'tidemark%'");
    }
    EXPECT_GT(taken.get().stop.offset, 0U);
}

// rule 16
TEST_P(BaseBackupTest, OneSessionWithoutATransactionHoldsTheBackup)
{
    auto sessions = [] {
        return connect().exec(
            "SELECT pid, state, xact_start IS NULL AND backend_xmin IS NULL FROM pg_stat_activity "
            "WHERE application_name = 'tidemark backup'");
    };
    for (int i = 0; i < 1000 && sessions().rows() > 0; ++i) // of the cases before
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    auto source = begin_postgres_backup(member(GetParam()), options());
    auto begun = sessions();
    ASSERT_EQ(begun.rows(), 1);
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-ow1" : "scratch-ol1")};
    std::atomic<std::uint64_t> progress{0};
    source->copy(sink, progress, {});
    auto copied = sessions();
    ASSERT_EQ(copied.rows(), 1);
    EXPECT_EQ(copied.get(0, 0), begun.get(0, 0));
    for (const auto* rows : {&begun, &copied}) {
        EXPECT_EQ(rows->get(0, 1), "idle");
        EXPECT_EQ(rows->get(0, 2), "t") << "a transaction is held open";
    }
    source->finish();
}

TEST_P(BaseBackupTest, StopsWhenAsked)
{
    auto slow = options();
    slow.bytes_per_second = 1U << 20;
    auto source = begin_postgres_backup(member(GetParam()), slow);
    FolderSink sink{folder_->path() / (GetParam() ? "scratch-sw" : "scratch-sl")};
    std::atomic<std::uint64_t> progress{0};
    std::stop_source stop;
    std::jthread stopper{[&] {
        while (progress.load() == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        stop.request_stop();
    }};
    auto before = std::chrono::steady_clock::now();
    try {
        source->copy(sink, progress, stop.get_token());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::cancelled) << error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{10});
}

TEST_F(BaseBackupTest, AnotherClustersFolderIsRefused)
{
    LabCluster other{{.name = "other", .folder = folder_->path()}};
    auto config = member(false);
    config.data_dir = other.data_dir();
    try {
        begin_postgres_backup(config, options());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch) << error.what();
    }
}

TEST_F(BaseBackupTest, ACopyOfTheFolderIsRefused)
{
    auto copy = folder_->make("copy");
    ASSERT_TRUE(base::run({"cp", "-a", cluster_->data_dir(), copy / "d"}).exit.success());
    auto config = member(false);
    config.data_dir = copy / "d";
    try {
        begin_postgres_backup(config, options());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("older than the one just made"));
    }
    fs::remove_all(copy);
}

TEST_F(BaseBackupTest, FactsAreWhatARestoreNeeds)
{
    auto facts = begin_postgres_backup(member(false), options())->facts();
    auto oid = ask("SELECT oid FROM pg_database WHERE datname = 'postgres'");
    EXPECT_EQ(facts.databases[static_cast<std::uint32_t>(std::stoul(oid))], "postgres");
    EXPECT_EQ(facts.tablespaces.size(), 1U);
    EXPECT_EQ(facts.settings.count("primary_conninfo"), 0U);
    EXPECT_GT(facts.settings.count("max_prepared_transactions"), 0U);
}

} // namespace
} // namespace tidemark::engine::postgres
