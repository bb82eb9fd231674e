#include "store/read_back.h"

#include "base/error.h"
#include "base/mount_testing.h"
#include "base/subprocess.h"
#include "base/temp_dir.h"
#include "store/posix.h"
#include "store/posix_testing.h"
#include "store/posix_tree.h"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace tidemark::store {
namespace {

namespace fs = std::filesystem;

class ReadBackTest : public testing::Test {
protected:
    /// What a lying file server does: other bytes than those that were written.
    void change_temporary_file(std::uint64_t at)
    {
        for (const auto& entry : fs::directory_iterator(root_ / kTemporaryFolder)) {
            if (!entry.path().filename().native().starts_with("new-")) continue;
            base::Fd file = base::open_file(entry.path(), O_WRONLY);
            base::pwrite_full(file.get(), base::as_bytes("?"), at, "object");
        }
    }

    base::TempDir dir_;
    fs::path root_ = dir_.path() / "repository";
    std::unique_ptr<Storage> storage_ =
        open_directory(root_, {.create = true, .read_back = ReadBack::always});
};

TEST_F(ReadBackTest, WhatComesBackAsItWasWrittenIsStored)
{
    EXPECT_TRUE(storage_->traits().reads_back);
    base::Bytes large(3 << 20, std::byte{7});
    EXPECT_EQ(put(*storage_, "a/large", large), Created::yes);
    EXPECT_EQ(get(*storage_, "a/large", large.size()), large);
    EXPECT_EQ(put(*storage_, "a/empty", {}), Created::yes);
}

TEST_F(ReadBackTest, OtherBytesAreNeverGivenTheName)
{
    // Once inside what was written, once behind its end.
    for (std::uint64_t at : {1'000'000U, 2U << 20}) {
        auto writer = storage_->create("a/object");
        writer->write(base::Bytes(2 << 20, std::byte{7}));
        change_temporary_file(at);
        auto error = testing_tools::error_of([&] { writer->commit(); });
        EXPECT_EQ(error.code(), base::Code::repository_unreachable) << error.what();
        EXPECT_NE(error.message().find("read back"), std::string::npos) << error.what();
        writer.reset();
        EXPECT_FALSE(storage_->stat("a/object"));
    }
    EXPECT_EQ(put(*storage_, "a/object", base::as_bytes("good")), Created::yes);
}

TEST(NeedsReadBackTest, NotOnADiskOfThisMachine)
{
    base::TempDir dir;
    if (auto folder = base::open_directory_fd(dir.path()); needs_read_back(folder.get()))
        GTEST_SKIP() << "the folder for temporary files lies on a network itself";
    EXPECT_FALSE(open_directory(dir.path() / "r", {.create = true})->traits().reads_back);
}

/// A folder seen through FUSE, by bindfs.
class FuseMount {
public:
    explicit FuseMount(const fs::path& folder) : path_(folder / "mounted")
    {
        fs::create_directories(folder / "real");
        fs::create_directories(path_);
        mounted_ = run("bindfs", {(folder / "real").native(), path_.native()});
    }
    ~FuseMount()
    {
        if (mounted_) run("fusermount", {"-uz", path_.native()});
    }
    FuseMount(const FuseMount&) = delete;
    FuseMount& operator=(const FuseMount&) = delete;
    explicit operator bool() const { return mounted_; }
    const fs::path& path() const { return path_; }

private:
    static bool run(const std::string& program, std::vector<std::string> arguments)
    {
        try {
            arguments.insert(arguments.begin(), program);
            return base::run(arguments).exit.success();
        } catch (const base::Error&) {
            return false; // there is no such program
        }
    }
    fs::path path_;
    bool mounted_ = false;
};

TEST(NeedsReadBackTest, ThroughFuse)
{
    base::TempDir dir;
    FuseMount mount{dir.path()};
    constexpr const char* kNoFuse = "there is no bindfs, or FUSE is not allowed here";
    // Containers may show the device and forbid it.
    bool allowed = base::Fd{::open("/dev/fuse", O_RDWR | O_CLOEXEC)}.valid();
    ASSERT_TRUE(mount || !allowed || !base::mounting_is_expected()) << kNoFuse;
    if (!mount) GTEST_SKIP() << kNoFuse;
    auto storage = open_directory(mount.path() / "r", {.create = true});
    EXPECT_TRUE(storage->traits().reads_back);
    base::Bytes large(3 << 20, std::byte{7});
    EXPECT_EQ(put(*storage, "a/large", large), Created::yes);
    EXPECT_EQ(get(*storage, "a/large", large.size()), large);
    EXPECT_EQ(put(*storage, "a/large", large), Created::already_there);
}

} // namespace
} // namespace tidemark::store
