#include "base/fd.h"

#include "base/temp_dir.h"

#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace tidemark::base {
namespace {

TEST(FdTest, ClosesItsDescriptorOnce)
{
    int number = -1;
    {
        Fd fd = open_read("/dev/null");
        number = fd.get();
        Fd moved = std::move(fd);
        EXPECT_EQ(moved.get(), number);
        EXPECT_GE(::fcntl(number, F_GETFD), 0);
    }
    EXPECT_LT(::fcntl(number, F_GETFD), 0);
}

TEST(FdTest, DescriptorsAreNotInherited)
{
    Fd fd = open_read("/dev/null");
    EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(FdTest, ErrorsNameTheFile)
{
    try {
        open_read("/nowhere/at/all");
        FAIL() << "opened";
    } catch (const Error& error) {
        EXPECT_EQ(error.message(), "cannot open /nowhere/at/all: No such file or directory");
    }
}

TEST(FdTest, TransfersFinishShortReadsAndWrites)
{
    std::array<int, 2> ends = {};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    Fd in{ends[0]};
    Fd out{ends[1]};
    // More than a pipe holds, so both sides see short transfers.
    Bytes sent(1 << 20);
    for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<std::byte>(i * 7);
    std::jthread writer{[&] {
        write_full(out.get(), sent, "pipe");
        out.reset();
    }};
    Bytes got(sent.size() + 100);
    EXPECT_EQ(read_full(in.get(), got, "pipe"), sent.size());
    got.resize(sent.size());
    EXPECT_EQ(got, sent);
}

TEST(FdTest, PositionedTransfers)
{
    TempDir dir;
    Fd fd = open_file(dir.path() / "f", O_RDWR | O_CREAT);
    pwrite_full(fd.get(), as_bytes("world"), 6, "f");
    pwrite_full(fd.get(), as_bytes("hello "), 0, "f");
    Bytes got(20);
    EXPECT_EQ(pread_full(fd.get(), got, 3, "f"), 8U);
    EXPECT_EQ(as_text(ByteView(got).first(8)), "lo world");
    EXPECT_EQ(file_size(fd.get(), "f"), 11U);
    EXPECT_NO_THROW(fsync_fd(fd.get(), "f"));
    EXPECT_NO_THROW(fsync_directory(dir.path()));
}

TEST(FdTest, AFailedSyncIsReported)
{
    std::array<int, 2> ends = {};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    Fd in{ends[0]};
    Fd out{ends[1]};
    EXPECT_THROW(fsync_fd(out.get(), "a pipe"), Error);
}

TEST(FdTest, AFullDeviceIsOutOfSpace)
{
    Fd full = open_file("/dev/full", O_WRONLY);
    try {
        write_full(full.get(), as_bytes("x"), "/dev/full");
        FAIL() << "written";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::out_of_space);
        EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_EQ(try_write_full(full.get(), as_bytes("x")), ENOSPC);
}

TEST(FdTest, SmallFilesAreReplacedWhole)
{
    TempDir dir;
    auto path = dir.path() / "state";
    replace_file(path, as_bytes("one"));
    replace_file(path, as_bytes("two"), 0640);
    EXPECT_EQ(as_text(read_file(path, 100)), "two");
    EXPECT_THROW(read_file(path, 2), Error);
    struct stat info = {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640U);
    auto entries = std::filesystem::directory_iterator(dir.path());
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 1) << "a temporary file was left";
}

TEST(TempDirTest, RemovesItselfUnlessKept)
{
    std::filesystem::path gone;
    std::filesystem::path kept;
    {
        TempDir first{"first"};
        TempDir second{"second", first.path()};
        gone = second.path();
        replace_file(gone / "file", as_bytes("x"));
        TempDir third;
        kept = third.keep();
    }
    EXPECT_FALSE(std::filesystem::exists(gone));
    EXPECT_TRUE(std::filesystem::exists(kept));
    std::filesystem::remove(kept);
}

} // namespace
} // namespace tidemark::base
