#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "app/demo/process_tree.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/pq.h"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace tidemark::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

mode_t mode_of(const fs::path& path)
{
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(LabClusterTest, LivesOnAPrivateSocketOnly)
{
    LabFolder folder;
    LabCluster cluster{{.name = "one", .folder = folder.path()}};
    cluster.start();
    EXPECT_TRUE(cluster.running());
    EXPECT_TRUE(fs::is_socket(cluster.socket_dir() / ".s.PGSQL.5432"));
    EXPECT_EQ(mode_of(cluster.socket_dir()), 0700U);
    EXPECT_EQ(mode_of(folder.path()), 0700U);
    EXPECT_THAT(cluster.last_words(100000), Not(HasSubstr("listening on IPv")));
    cluster.stop();
    EXPECT_FALSE(cluster.running());
    EXPECT_THAT(cluster.last_words(), HasSubstr("database system is shut down"));
}

TEST(LabClusterTest, ComesBackAfterKill9WithItsSettings)
{
    LabFolder folder;
    LabCluster cluster{{.name = "one",
                        .folder = folder.path(),
                        .settings = {{"max_prepared_transactions", "7"}},
                        .wal_segment_mb = 1}};
    cluster.start();
    auto processes = children_of(static_cast<pid_t>(std::stol(
        std::string(base::as_text(base::read_file(cluster.data_dir() / "postmaster.pid", 4096))))));
    EXPECT_GE(processes.size(), 4U);
    cluster.kill9();
    EXPECT_FALSE(cluster.running());
    for (pid_t pid : processes)
        EXPECT_FALSE(fs::exists("/proc/" + std::to_string(pid) + "/exe")) << pid;
    cluster.start();
    EXPECT_THAT(cluster.last_words(4000), HasSubstr("was not properly shut down"));
    cluster.configure({{"max_prepared_transactions", "9"}});
    cluster.restart();
    EXPECT_THAT(std::string(base::as_text(
                    base::read_file(cluster.data_dir() / "postgresql.conf", 1U << 20))),
                HasSubstr("max_prepared_transactions = '9'"));
    EXPECT_TRUE(fs::exists(cluster.data_dir() / "pg_wal"));
}

TEST(LabClusterTest, DestroyLeavesNothing)
{
    LabFolder folder;
    LabCluster cluster{{.name = "one", .folder = folder.path()}};
    cluster.start();
    cluster.destroy();
    EXPECT_TRUE(fs::is_empty(folder.path()));
    EXPECT_FALSE(cluster.running());
}

TEST(LabClusterTest, AServerThatCannotStartSaysWhy)
{
    LabFolder folder;
    LabCluster cluster{
        {.name = "one", .folder = folder.path(), .settings = {{"shared_buffers", "nonsense"}}}};
    try {
        cluster.start();
        FAIL() << "started";
    } catch (const base::Error& error) {
        EXPECT_THAT(error.message(), HasSubstr("shared_buffers"));
    }
    EXPECT_FALSE(cluster.running());
}

TEST(LabClusterTest, TcpAsksForThePassword)
{
    LabFolder folder;
    LabCluster cluster{{.name = "one", .folder = folder.path(), .tcp = true}};
    cluster.start();
    auto good = cluster.tcp_conninfo("postgres", cluster.superuser_password());
    auto bad = cluster.tcp_conninfo("postgres", "guess");
    using engine::postgres::Connection;
    EXPECT_FALSE(Connection::open(good).local_socket());
    EXPECT_TRUE(Connection::open(cluster.url()).local_socket());
    EXPECT_THROW(Connection::open(bad), base::Error);
    EXPECT_THAT(cluster.last_words(), HasSubstr("password authentication failed"));
}

TEST(LabClusterTest, NothingOfOurEnvironmentReachesTheServer)
{
    ::setenv("PGPORT", "1", 1);
    ::setenv("PGDATA", "/nowhere", 1);
    LabFolder folder;
    LabCluster cluster{{.name = "one", .folder = folder.path()}};
    cluster.start();
    EXPECT_TRUE(fs::is_socket(cluster.socket_dir() / ".s.PGSQL.5432"));
    ::unsetenv("PGPORT");
    ::unsetenv("PGDATA");
}

bool alive(pid_t pid)
{
    return fs::exists("/proc/" + std::to_string(pid) + "/root");
}

TEST(LabClusterTest, TheServerEndsWhenItsOwnerIsKilled)
{
    LabFolder folder;
    auto pid_file = folder.path() / "one/data/postmaster.pid";
    pid_t owner = ::fork();
    ASSERT_GE(owner, 0);
    if (owner == 0) {
        LabCluster cluster{{.name = "one", .folder = folder.path()}};
        cluster.start();
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(owner, &status, 0), owner);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto server =
        static_cast<pid_t>(std::stol(std::string(base::as_text(base::read_file(pid_file, 4096)))));
    EXPECT_TRUE(alive(server));
    for (int round = 0; round < 1000 && fs::exists(pid_file); ++round)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    EXPECT_FALSE(fs::exists(pid_file));
}

TEST(LabClusterTest, AnUnknownVersionNamesThePackage)
{
    try {
        find_postgres(7);
        FAIL() << "found";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_THAT(error.hint(), HasSubstr("postgresql-15"));
    }
}

TEST(LabClusterTest, LongFoldersGetAShortSocket)
{
    LabFolder folder;
    auto deep = folder.make(std::string(90, 'x'));
    fs::path socket_dir;
    {
        LabCluster cluster{{.name = "one", .folder = deep}};
        cluster.start();
        socket_dir = cluster.socket_dir();
        EXPECT_LT(socket_dir.string().size(), 40U);
    }
    EXPECT_FALSE(fs::exists(socket_dir));
}

TEST(LabFolderTest, AFilledFolderIsRefused)
{
    LabFolder folder;
    folder.make("something");
    EXPECT_THROW(LabFolder{folder.path()}, base::Error);
    LabFolder fresh{folder.path() / "fresh"};
    EXPECT_EQ(mode_of(fresh.path()), 0700U);
}

} // namespace
} // namespace tidemark::app
