// The session that holds a base backup: lost, stopped, kept waiting, on another cluster's folder.

#include "base/error.h"
#include "base/plain_user_testing.h"
#include "base/subprocess.h"
#include "integration/base_backup_lab.h"
#include "support/folder_sink.h"

#include <atomic>
#include <future>
#include <gmock/gmock.h>
#include <stop_token>
#include <sys/stat.h>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using app::LabCluster;
using support::FolderSink;
using ::testing::HasSubstr;

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

TEST_F(BaseBackupTest, AFolderThatHoldsNoClusterIsNamed)
{
    auto config = member(false);
    config.data_dir = folder_->make("not mounted");
    try {
        begin_postgres_backup(config, options());
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("not mounted/global/pg_control"));
        EXPECT_THAT(error.hint(), HasSubstr("correct data_dir"));
    }
}

TEST_F(BaseBackupTest, AFolderThatWeMayNotReadIsNamed)
{
    auto config = member(false);
    auto shut = folder_->make("shut");
    config.data_dir = shut;
    fs::create_directory(shut / "global");
    ASSERT_EQ(::chmod((shut / "global").c_str(), 0), 0);
    auto user = app::lab_user();
    try {
        base::PlainRights plain{user ? user->uid : ::geteuid()};
        begin_postgres_backup(config, options());
        ADD_FAILURE();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
        EXPECT_THAT(error.what(),
                    HasSubstr((shut / "global/pg_control").native() + ": Permission"));
        EXPECT_THAT(error.hint(), HasSubstr("leave data_dir out"));
    }
    ASSERT_EQ(::chmod((shut / "global").c_str(), 0700), 0);
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
