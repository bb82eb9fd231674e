// What a base backup holds, and how it reads what changes meanwhile.

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "integration/base_backup_lab.h"
#include "support/folder_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using support::FolderSink;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::set<std::string> names_below(const fs::path& root)
{
    std::set<std::string> names;
    auto options = fs::directory_options::follow_directory_symlink;
    for (const auto& entry : fs::recursive_directory_iterator{root, options}) {
        names.insert(entry.path().lexically_relative(root).string());
    }
    return names;
}

} // namespace

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

namespace {

INSTANTIATE_TEST_SUITE_P(Ways, BaseBackupTest, ::testing::Values(false, true),
                         [](const auto& way) { return way.param ? "Wire" : "Local"; });

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

// For tests of the server only, but a table in one would be lost without a word.
TEST_P(BaseBackupTest, ATablespaceInPlaceIsHeldOrRefused)
{
    auto sql = connect();
    sql.exec("SET allow_in_place_tablespaces = on");
    sql.exec("CREATE TABLESPACE inside LOCATION ''");
    sql.exec("CREATE TABLE within TABLESPACE inside AS SELECT 1 AS id");
    auto path = ask("SELECT pg_relation_filepath('within')");
    try {
        auto source = begin_postgres_backup(member(GetParam()), options());
        FolderSink sink{folder_->path() / (GetParam() ? "scratch-iw" : "scratch-il")};
        support::take_backup(*source, sink);
        EXPECT_TRUE(sink.entries().contains(path)) << path;
    } catch (const base::Error& error) {
        EXPECT_TRUE(GetParam()) << error.what();
        EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("(inside) lies in place"));
        EXPECT_THAT(error.hint(), HasSubstr("data_dir"));
    }
    sql.exec("DROP TABLE within");
    sql.exec("DROP TABLESPACE inside");
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

} // namespace
} // namespace tidemark::engine::postgres
