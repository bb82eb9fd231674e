#include "job/target_tree.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"

#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;

base::Code code_of(const std::function<void()>& body)
{
    try {
        body();
    } catch (const base::Error& error) {
        return error.code();
    }
    return base::Code::ok;
}

// rule 29
TEST(TargetTreeTest, NothingLeadsOutOfTheTarget)
{
    base::TempDir dir;
    auto root = dir.path() / "target";
    auto outside = dir.path() / "outside";
    fs::create_directories(root);
    fs::create_directories(outside);
    TargetTree tree(root, std::nullopt);
    tree.make_folder("base", 0700);
    tree.make_file("base/good", 0600, 10);
    // Links as a hostile backup, or somebody with access to the target, would plant them.
    fs::create_directory_symlink(outside, root / "link");
    fs::create_directory_symlink("../outside", root / "base/up");
    fs::create_symlink(outside / "made", root / "file");
    for (const auto* path : {"../outside/x", "link/x", "base/up/x", "/etc/tidemark-test",
                             "base/../../outside/x", "file"}) {
        EXPECT_EQ(code_of([&] { tree.make_file(path, 0600, 1); }), base::Code::not_restorable)
            << path;
        EXPECT_NE(code_of([&] { tree.open(path); }), base::Code::ok) << path;
    }
    for (const auto* path : {"link/folder", "base/up/folder", "../outside/folder", "link"})
        EXPECT_NE(code_of([&] { tree.make_folder(path, 0700); }), base::Code::ok) << path;
    EXPECT_NE(code_of([&] { tree.make_link("link/planted", "/"); }), base::Code::ok);
    EXPECT_TRUE(fs::is_empty(outside));
    EXPECT_EQ(fs::file_size(root / "base/good"), 10U);
}

// rule 29
TEST(TargetTreeTest, ModesAreThoseOfTheBackupWhateverTheUmask)
{
    base::TempDir dir;
    auto before = ::umask(077);
    TargetTree tree(dir.path(), std::nullopt);
    tree.make_folder("group", 0750);
    tree.make_file("group/file", 0640, 0);
    ::umask(before);
    struct stat info = {};
    ASSERT_EQ(::stat((dir.path() / "group").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0750U);
    ASSERT_EQ(::stat((dir.path() / "group/file").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0640U);
}

TEST(TargetTreeTest, AllocatedFilesAreZerosStill)
{
    base::TempDir dir;
    TargetTree tree(dir.path(), std::nullopt);
    constexpr std::uint64_t kSize = (1U << 20) + 8192;
    tree.make_file("file", 0600, kSize);
    tree.allocate("file", kSize);
    EXPECT_EQ(base::read_file(dir.path() / "file", 2 * kSize), base::Bytes(kSize));
    EXPECT_NE(code_of([&] { tree.allocate("../file", kSize); }), base::Code::ok);
}

// rule 29
TEST(TargetTreeTest, ASecondNameOfSomebodysFileIsNotWrittenInto)
{
    base::TempDir dir;
    std::filesystem::create_directory(dir.path() / "tree");
    base::replace_file(dir.path() / "victim", base::as_bytes("secret"));
    std::filesystem::create_hard_link(dir.path() / "victim", dir.path() / "tree/file");
    TargetTree tree(dir.path() / "tree", std::nullopt);
    tree.make_file("file", 0644, 8192);
    EXPECT_EQ(base::as_text(base::read_file(dir.path() / "victim", 100)), "secret");
    EXPECT_EQ(std::filesystem::file_size(dir.path() / "tree/file"), 8192U);
}

} // namespace
} // namespace tidemark::job
