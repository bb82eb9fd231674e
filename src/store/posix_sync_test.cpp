// In which order files and folders are made durable. This program's own fsync() stands before the C
// library's and tells the test what is synced, and what was visible at that moment.

#include "store/posix.h"

#include "base/temp_dir.h"
#include "store/posix_tree.h"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::function<void(int)> on_fsync;

} // namespace

extern "C" int fsync(int fd)
{
    if (on_fsync) on_fsync(fd);
    return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace tidemark::store {
namespace {

namespace fs = std::filesystem;
using base::as_bytes;
using testing::ElementsAre;

class PosixSyncTest : public testing::Test {
public:
    ~PosixSyncTest() override { on_fsync = nullptr; }

protected:
    PosixSyncTest()
    {
        on_fsync = [this](int fd) { record(fd); };
    }

    /// "root", "a", "a/b", or "new file" for what has only its temporary name; "+" when the object
    /// `watched_` can be seen.
    void record(int fd)
    {
        struct stat info = {};
        ASSERT_EQ(::fstat(fd, &info), 0);
        std::string name = "?";
        auto compare = [&](const fs::path& path, const std::string& called) {
            struct stat other = {};
            bool found = ::lstat(path.c_str(), &other) == 0;
            if (found && other.st_ino == info.st_ino && other.st_dev == info.st_dev) name = called;
        };
        compare(root_, "root");
        for (const auto& entry : fs::recursive_directory_iterator(root_)) {
            auto relative = entry.path().lexically_relative(root_);
            bool temporary = *relative.begin() == kTemporaryFolder;
            compare(entry.path(), temporary ? "new file" : relative.native());
        }
        synced_.push_back(name + (fs::exists(root_ / watched_) ? "+" : ""));
    }
    std::vector<std::string> take() { return std::exchange(synced_, {}); }

    base::TempDir dir_;
    fs::path root_ = dir_.path() / "repository";
    std::unique_ptr<Storage> storage_ = open_directory(root_, {.create = true});
    std::string watched_ = "nothing";
    std::vector<std::string> synced_;
};

// rule 30
TEST_F(PosixSyncTest, AnObjectIsVisibleOnlyAfterItsBytesAndFoldersAreDurable)
{
    watched_ = "a/b/c";
    put(*storage_, "a/b/c", as_bytes("x"));
    // The entry of a in root, of b in a, and at last of c in b.
    EXPECT_THAT(take(), ElementsAre("new file", "root", "a", "a/b+"));
}

TEST_F(PosixSyncTest, KnownFoldersAreSyncedOnce)
{
    put(*storage_, "a/b/c", as_bytes("x"));
    take();
    watched_ = "a/b/d";
    put(*storage_, "a/b/d", as_bytes("x"));
    EXPECT_THAT(take(), ElementsAre("new file", "a/b+"));
    watched_ = "a/e/f";
    put(*storage_, "a/e/f", as_bytes("x"));
    EXPECT_THAT(take(), ElementsAre("new file", "a", "a/e+"));
}

TEST_F(PosixSyncTest, FoldersThatAnotherProcessMadeAreNotTrusted)
{
    fs::create_directories(root_ / "a/b");
    watched_ = "a/b/c";
    put(*storage_, "a/b/c", as_bytes("x"));
    EXPECT_THAT(take(), ElementsAre("new file", "root", "a", "a/b+"));
}

TEST_F(PosixSyncTest, TheLoserOfARaceMakesTheWinnersObjectDurable)
{
    put(*storage_, "a/b", as_bytes("x"));
    take();
    watched_ = "a/b";
    EXPECT_EQ(put(*storage_, "a/b", as_bytes("y")), Created::already_there);
    EXPECT_THAT(take(), ElementsAre("new file+", "a+"));
}

TEST_F(PosixSyncTest, RemovalIsDurable)
{
    put(*storage_, "a/b", as_bytes("x"));
    take();
    watched_ = "a/b";
    EXPECT_TRUE(storage_->remove("a/b"));
    EXPECT_THAT(take(), ElementsAre("a"));
    EXPECT_FALSE(storage_->remove("a/b"));
    EXPECT_THAT(take(), ElementsAre("a")) << "another's removal too";
}

TEST_F(PosixSyncTest, ANewRepositoryIsDurableInItsParents)
{
    std::vector<ino_t> inodes;
    on_fsync = [&](int fd) {
        struct stat info = {};
        ASSERT_EQ(::fstat(fd, &info), 0);
        inodes.push_back(info.st_ino);
    };
    open_directory(dir_.path() / "x/y", {.create = true});
    struct stat outer = {};
    struct stat inner = {};
    ASSERT_EQ(::stat(dir_.path().c_str(), &outer), 0);
    ASSERT_EQ(::stat((dir_.path() / "x").c_str(), &inner), 0);
    EXPECT_THAT(inodes, ElementsAre(outer.st_ino, inner.st_ino));
}

} // namespace
} // namespace tidemark::store
