#include "engine/postgres/target_folder.h"

#include "base/error.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;

struct TargetFolderTest : ::testing::Test {
    static struct stat of(const fs::path& path)
    {
        struct stat info = {};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return info;
    }
    base::TempDir dir;
    fs::path top = fs::canonical(dir.path());
};

// rule 29
TEST_F(TargetFolderTest, NothingIsWrittenOrRemovedThroughALink)
{
    fs::create_directories(top / "victim/pg_wal");
    std::ofstream(top / "victim/pg_wal/kept") << "x";
    fs::create_directory_symlink(top / "victim", top / "data");
    TargetFolder linked{top / "data", std::nullopt};
    EXPECT_THROW(linked.write("recovery.signal", ""), base::Error);
    EXPECT_THROW(linked.remove("recovery.signal"), base::Error);
    EXPECT_THROW(linked.empty("pg_wal"), base::Error);
    EXPECT_THROW(linked.create(), base::Error);
    fs::remove(top / "data");
    TargetFolder data{top / "data", std::nullopt};
    data.create();
    fs::create_directory_symlink(top / "victim/pg_wal", top / "data/pg_wal");
    EXPECT_THROW(data.empty("pg_wal"), base::Error);
    EXPECT_THROW(data.write("pg_wal/x", ""), base::Error);
    EXPECT_TRUE(fs::exists(top / "victim/pg_wal/kept"));
    std::ofstream(top / "secret") << "secret";
    fs::create_symlink(top / "secret", top / "data/postgresql.conf.tidemark");
    fs::create_symlink(top / "secret", top / "data/postgresql.conf");
    data.write("postgresql.conf", "new");
    EXPECT_EQ(data.read("postgresql.conf"), "new");
    EXPECT_EQ(base::as_text(base::read_file(top / "secret", 100)), "secret");
}

// rule 29
TEST_F(TargetFolderTest, TheServersUserOnlyReadsWhatIsOurs)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root works for another account";
    base::User nobody{"nobody", 65534, 65534, {65534}, "/"};
    TargetFolder work{top / "work", nobody, TargetFolder::Of::us};
    work.create();
    work.write("recover.conf", "x");
    EXPECT_EQ(of(top / "work").st_uid, 0U);
    EXPECT_EQ(of(top / "work").st_mode & 07777, 0711U);
    EXPECT_EQ(of(top / "work/recover.conf").st_uid, 0U);
    EXPECT_EQ(of(top / "work/recover.conf").st_gid, 65534U);
    EXPECT_EQ(of(top / "work/recover.conf").st_mode & 07777, 0640U);
    TargetFolder data{top / "data", nobody};
    data.create();
    data.write("recovery.signal", "");
    EXPECT_EQ(of(top / "data").st_uid, 65534U);
    EXPECT_EQ(of(top / "data/recovery.signal").st_uid, 65534U);
    // The server's user put a folder of its own in our place.
    fs::rename(top / "data", top / "other");
    fs::rename(top / "work", top / "away");
    fs::rename(top / "other", top / "work");
    EXPECT_THROW(work.write("recover.conf", "y"), base::Error);
    EXPECT_FALSE(fs::exists(top / "work/recover.conf"));
}

} // namespace
} // namespace tidemark::engine::postgres
