#include "store/posix.h"

#include "base/temp_dir.h"
#include "store/posix_testing.h"
#include "store/posix_tree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace tidemark::store {
namespace {

namespace fs = std::filesystem;
using base::as_bytes;
using base::Code;
using testing_tools::error_of;

struct stat stat_of(const fs::path& path)
{
    struct stat info = {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info;
}

class PosixStorageTest : public testing::Test {
protected:
    void write_file(const fs::path& path, std::string_view text)
    {
        fs::create_directories(path.parent_path());
        base::replace_file(path, as_bytes(text));
    }
    std::size_t temporaries()
    {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(root_ / kTemporaryFolder)) {
            count += entry.path().filename().native().starts_with("new-") ? 1U : 0U;
        }
        return count;
    }

    base::TempDir dir_;
    fs::path root_ = dir_.path() / "repository";
    std::unique_ptr<Storage> storage_ = open_directory(root_, {.create = true});
};

TEST_F(PosixStorageTest, FilesAndFoldersAreForTheOwnerOnly)
{
    put(*storage_, "a/b/c", as_bytes("x"));
    EXPECT_EQ(stat_of(root_).st_mode & 0777, 0700U);
    EXPECT_EQ(stat_of(root_ / "a").st_mode & 0777, 0700U);
    EXPECT_EQ(stat_of(root_ / "a/b/c").st_mode & 0777, 0600U);
    EXPECT_EQ(stat_of(root_ / "a/b/c").st_nlink, 1U);

    auto shared = open_directory(root_, {.file_mode = 0640, .folder_mode = 0750});
    put(*shared, "d/e", as_bytes("x"));
    EXPECT_EQ(stat_of(root_ / "d").st_mode & 0777, 0750U);
    EXPECT_EQ(stat_of(root_ / "d/e").st_mode & 0777, 0640U);
}

TEST_F(PosixStorageTest, RootKeepsTheOwnerOfTheRepository)
{
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::chown(root_.c_str(), 65534, 65534), 0);
    storage_ = open_directory(root_);
    put(*storage_, "a/b", as_bytes("x"));
    storage_->now();
    for (const char* path : {"a", "a/b", kTemporaryFolder, ".tmp~/clock"}) {
        EXPECT_EQ(stat_of(root_ / path).st_uid, 65534U) << path;
        EXPECT_EQ(stat_of(root_ / path).st_gid, 65534U) << path;
    }
}

TEST_F(PosixStorageTest, NoTemporaryFileIsLeft)
{
    put(*storage_, "a", as_bytes("1"));
    put(*storage_, "a", as_bytes("2"));
    {
        auto abandoned = storage_->create("b");
        EXPECT_EQ(temporaries(), 1U);
    }
    EXPECT_EQ(temporaries(), 0U);
}

TEST_F(PosixStorageTest, APlantedLinkInPlaceOfAnObjectIsRefused)
{
    write_file(dir_.path() / "secret", "secret");
    fs::create_symlink(dir_.path() / "secret", root_ / "link");
    fs::create_symlink("nowhere", root_ / "dangling");
    for (const char* key : {"link", "dangling"}) {
        EXPECT_EQ(error_of([&] { storage_->open(key); }).code(), Code::repository_unreachable);
        EXPECT_EQ(error_of([&] { storage_->stat(key); }).code(), Code::repository_unreachable);
        EXPECT_EQ(error_of([&] { storage_->remove(key); }).code(), Code::repository_unreachable);
        auto error = error_of([&] { put(*storage_, key, as_bytes("x")); });
        EXPECT_EQ(error.code(), Code::repository_unreachable);
        EXPECT_NE(error.message().find("symbolic link"), std::string::npos) << error.what();
        EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_TRUE(storage_->list("").empty());
    EXPECT_EQ(base::as_text(base::read_file(dir_.path() / "secret", 100)), "secret");
    EXPECT_FALSE(fs::exists(root_ / "nowhere"));
}

TEST_F(PosixStorageTest, APlantedLinkInPlaceOfAFolderIsRefused)
{
    write_file(dir_.path() / "outside/object", "x");
    fs::create_directory_symlink(dir_.path() / "outside", root_ / "groups");
    EXPECT_EQ(error_of([&] { storage_->open("groups/object"); }).code(),
              Code::repository_unreachable);
    EXPECT_EQ(error_of([&] { storage_->list("groups/"); }).code(), Code::repository_unreachable);
    EXPECT_EQ(error_of([&] { storage_->remove("groups/object"); }).code(),
              Code::repository_unreachable);
    EXPECT_EQ(error_of([&] { put(*storage_, "groups/new", as_bytes("x")); }).code(),
              Code::repository_unreachable);
    EXPECT_TRUE(storage_->list("").empty());
    EXPECT_FALSE(fs::exists(dir_.path() / "outside/new"));
    EXPECT_TRUE(fs::exists(dir_.path() / "outside/object"));
}

TEST_F(PosixStorageTest, ALinkInPlaceOfTheTemporaryFolderIsRefused)
{
    fs::create_directory(dir_.path() / "outside");
    fs::remove_all(root_ / kTemporaryFolder);
    fs::create_directory_symlink(dir_.path() / "outside", root_ / kTemporaryFolder);
    EXPECT_EQ(error_of([&] { storage_->create("a"); }).code(), Code::repository_unreachable);
    EXPECT_TRUE(fs::is_empty(dir_.path() / "outside"));
}

TEST_F(PosixStorageTest, ForeignFilesAreNotListedAndDoNotHang)
{
    put(*storage_, "a/object", as_bytes("x"));
    ASSERT_EQ(::mkfifo((root_ / "a/pipe").c_str(), 0600), 0);
    write_file(root_ / "a/with space", "x");
    write_file(root_ / "a/editor~", "x");
    write_file(root_ / "lost+found/fragment", "x");
    auto objects = storage_->list("");
    ASSERT_EQ(objects.size(), 1U);
    EXPECT_EQ(objects[0].key, "a/object");
    EXPECT_EQ(error_of([&] { storage_->open("a/pipe"); }).code(), Code::repository_unreachable);
}

TEST_F(PosixStorageTest, TheRootItselfMayBeALink)
{
    put(*storage_, "a", as_bytes("x"));
    fs::create_directory_symlink(root_, dir_.path() / "link");
    EXPECT_EQ(open_directory(dir_.path() / "link")->list("").size(), 1U);
    EXPECT_EQ(open_directory(root_.native() + "/")->list("").size(), 1U);
}

TEST_F(PosixStorageTest, AMissingDirectoryIsUnreachableAndCanBeMade)
{
    auto path = dir_.path() / "x/y/z";
    auto error = error_of([&] { open_directory(path); });
    EXPECT_EQ(error.code(), Code::repository_unreachable);
    EXPECT_EQ(error.message(), "cannot open " + path.native() + ": No such file or directory");
    EXPECT_NE(error.hint().find("mounted"), std::string::npos);
    EXPECT_FALSE(fs::exists(dir_.path() / "x"));
    put(*open_directory(path, {.create = true}), "k", as_bytes("x"));
    EXPECT_TRUE(fs::exists(path / "k"));

    write_file(dir_.path() / "file", "x");
    EXPECT_EQ(error_of([&] { open_directory(dir_.path() / "file"); }).code(),
              Code::repository_unreachable);
}

TEST_F(PosixStorageTest, AVanishedRepositoryNeverLooksEmpty)
{
    put(*storage_, "a/b", as_bytes("x"));
    auto writer = storage_->create("c");
    auto expect_unreachable = [&] {
        for (const auto& error :
             {error_of([&] { storage_->open("absent"); }), error_of([&] { storage_->stat("x/y"); }),
              error_of([&] { storage_->list(""); }), error_of([&] { storage_->list("z/"); }),
              error_of([&] { storage_->remove("absent"); }),
              error_of([&] { storage_->create("n"); }), error_of([&] { storage_->traits(); }),
              error_of([&] { storage_->now(); })}) {
            EXPECT_EQ(error.code(), Code::repository_unreachable) << error.what();
            EXPECT_FALSE(error.hint().empty());
        }
    };
    fs::rename(root_, dir_.path() / "elsewhere");
    expect_unreachable();
    // Another disk at the same place, as after an unmount.
    fs::create_directory(root_);
    expect_unreachable();
    EXPECT_EQ(error_of([&] { writer->commit(); }).code(), Code::repository_unreachable);
    EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(PosixStorageTest, LeftoversOfDeadWritersGoAfterADay)
{
    auto folder = root_ / kTemporaryFolder;
    auto alive = storage_->create("alive");
    alive->write(as_bytes("slow"));
    auto slow = fs::directory_iterator(folder)->path();
    for (const char* name : {"new-1-old", "new-2-young", "somebody-elses"})
        write_file(folder / name, "x");
    auto two_days_ago = fs::file_time_type::clock::now() - std::chrono::hours{48};
    for (const auto& path : {folder / "new-1-old", folder / "somebody-elses", slow}) {
        fs::last_write_time(path, two_days_ago);
    }
    storage_ = open_directory(root_);
    EXPECT_FALSE(fs::exists(folder / "new-1-old"));
    EXPECT_TRUE(fs::exists(folder / "new-2-young"));
    EXPECT_TRUE(fs::exists(folder / "somebody-elses"));
    EXPECT_EQ(alive->commit(), Created::yes) << "a slow writer is not a dead one";
    EXPECT_EQ(storage_->stat("alive")->size, 4U);
}

TEST_F(PosixStorageTest, TellsSpaceAndDevice)
{
    auto traits = storage_->traits();
    EXPECT_EQ(traits.kind, "directory");
    EXPECT_EQ(traits.where, root_.native());
    EXPECT_EQ(traits.device, stat_of(root_).st_dev);
    struct statvfs space = {};
    ASSERT_EQ(::statvfs(root_.c_str(), &space), 0);
    double expected = static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize);
    ASSERT_TRUE(traits.free_bytes);
    EXPECT_NEAR(static_cast<double>(*traits.free_bytes), expected, 0.1 * expected + 1e9);
}

TEST_F(PosixStorageTest, ItsClockIsTheFileSystems)
{
    auto before = base::SystemClock{}.now();
    auto now = storage_->now();
    auto after = base::SystemClock{}.now();
    // The kernel stamps files by its tick, up to 10 ms late.
    EXPECT_GE(now, before - std::chrono::milliseconds{20});
    EXPECT_LE(now, after);
}

} // namespace
} // namespace tidemark::store
