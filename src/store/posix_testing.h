#pragma once

#include "base/error_testing.h"
#include "base/fd.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// What the tests of the directory store need of the system. For tests only.
namespace tidemark::store::testing_tools {

using base::error_of;

/// Runs `body` in a process of its own, so that it may drop rights, break system calls or be
/// killed.
inline pid_t start_child(const std::function<void()>& body)
{
    pid_t pid = ::fork();
    if (pid != 0) return pid;
    try {
        body();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
        ::_exit(1);
    }
    ::_exit(0);
}

/// Its exit code, or minus the signal that ended it.
inline int wait_child(pid_t pid)
{
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

inline int run_child(const std::function<void()>& body)
{
    return wait_child(start_child(body));
}

/// An expectation inside a child.
inline void expect(bool condition, const std::string& what)
{
    if (!condition) throw base::Error{base::Code::failed, what};
}

struct BrokenCall {
    long number;
    int error;
};

/// From now on these system calls of this process fail. Cannot be taken back.
inline void break_calls(std::initializer_list<BrokenCall> calls)
{
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (auto [number, error] : calls) {
        program.push_back(
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
        program.push_back(
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        throw base::system_error("cannot break system calls", errno);
    }
}

struct Pipe {
    Pipe()
    {
        std::array<int, 2> ends = {};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw base::system_error("pipe", errno);
        in = base::Fd{ends[0]};
        out = base::Fd{ends[1]};
    }
    base::Fd in;
    base::Fd out;
};

} // namespace tidemark::store::testing_tools
