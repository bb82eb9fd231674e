#include "base/open_beneath.h"

#include "base/fd.h"
#include "base/temp_dir.h"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tidemark::base {
namespace {

namespace fs = std::filesystem;

using Open = int (*)(int, const char*, int, mode_t);

/// Both ways must answer alike.
class OpenBeneathTest : public ::testing::TestWithParam<Open> {
protected:
    OpenBeneathTest()
    {
        fs::create_directories(dir_.path() / "in/a/b");
        std::ofstream(dir_.path() / "in/a/file") << "inside";
        std::ofstream(dir_.path() / "outside") << "outside";
        fs::create_symlink("a", dir_.path() / "in/link");
        fs::create_symlink("file", dir_.path() / "in/a/near");
        fs::create_symlink(dir_.path() / "outside", dir_.path() / "in/a/far");
        root_ = Fd(::open((dir_.path() / "in").c_str(), O_RDONLY | O_DIRECTORY));
    }

    /// 0, or errno.
    int open(const char* path, int flags = O_RDONLY, mode_t mode = 0)
    {
        errno = 0;
        Fd fd{GetParam()(root_.get(), path, flags, mode)};
        return fd.get() >= 0 ? 0 : errno;
    }

    TempDir dir_{"open-beneath"};
    Fd root_;
};

TEST_P(OpenBeneathTest, WhatLiesInside)
{
    EXPECT_EQ(open("a/file"), 0);
    EXPECT_EQ(open("a//./file"), 0);
    EXPECT_EQ(open("a/b", O_RDONLY | O_DIRECTORY), 0);
    EXPECT_EQ(open("a/b/", O_RDONLY | O_DIRECTORY), 0);
    EXPECT_EQ(open(".", O_RDONLY | O_DIRECTORY), 0);
    EXPECT_EQ(open("a/none"), ENOENT);
    EXPECT_EQ(open("none/file"), ENOENT);
    EXPECT_EQ(open(""), ENOENT);
    EXPECT_EQ(open("a/file/more"), ENOTDIR);
    EXPECT_EQ(open("a/file/"), ENOTDIR);
    EXPECT_EQ(open("a/new/", O_WRONLY | O_CREAT, 0600), EISDIR);
    EXPECT_EQ(open("a/file", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

TEST_P(OpenBeneathTest, MakesFilesThere)
{
    EXPECT_EQ(open("a/b/new", O_WRONLY | O_CREAT | O_EXCL, 0640), 0);
    struct stat status{};
    ASSERT_EQ(::stat((dir_.path() / "in/a/b/new").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0640U);
    EXPECT_EQ(open("a/b/new", O_WRONLY | O_CREAT | O_EXCL, 0640), EEXIST);
}

TEST_P(OpenBeneathTest, NothingLeadsOut)
{
    EXPECT_EQ(open("/etc/passwd"), EXDEV);
    EXPECT_EQ(open("../outside"), EXDEV);
    EXPECT_EQ(open("a/../../outside"), EXDEV);
    EXPECT_EQ(open("link/file"), ELOOP);
    EXPECT_EQ(open("link", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT_EQ(open("a/near"), ELOOP);
    EXPECT_EQ(open("a/far"), ELOOP);
    EXPECT_EQ(open("a/far", O_WRONLY | O_CREAT, 0600), ELOOP);
}

/// As under systemd's RestrictSUIDSGID=.
TEST(OpenBeneath, WorksWhereTheKernelsCallIsFiltered)
{
    TempDir dir{"open-beneath"};
    std::ofstream(dir.path() / "file") << "here";
    Fd root{::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY)};
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(2);
        open_how how = {};
        if (::syscall(SYS_openat2, root.get(), "file", &how, sizeof how) >= 0 || errno != ENOSYS)
            ::_exit(3);
        ::_exit(open_beneath(root.get(), "file", O_RDONLY) >= 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(ByTheKernel, OpenBeneathTest, ::testing::Values(&open_beneath));
INSTANTIATE_TEST_SUITE_P(PartByPart, OpenBeneathTest, ::testing::Values(&open_part_by_part));

} // namespace
} // namespace tidemark::base
