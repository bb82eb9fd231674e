#include "base/process_state.h"

#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace tidemark::base {
namespace {

TEST(ProcessStateTest, KnowsThisProcess)
{
    auto self = process_state(::getpid());
    ASSERT_TRUE(self);
    EXPECT_EQ(self->parent, ::getppid());
    EXPECT_GT(self->start, 0U);
    EXPECT_FALSE(self->ended());
    EXPECT_TRUE(process_runs(::getpid()));
}

TEST(ProcessStateTest, ADeadProcessThatNobodyAskedAboutDoesNotRun)
{
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        for (;;)
            ::pause();
    }
    EXPECT_TRUE(process_runs(child));
    EXPECT_EQ(process_state(child)->parent, ::getpid());
    ::kill(child, SIGKILL);
    // Waits for its end, and leaves it a zombie.
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(::kill(child, 0), 0);
    ASSERT_TRUE(process_state(child));
    EXPECT_TRUE(process_state(child)->ended());
    EXPECT_FALSE(process_runs(child));
    ::waitpid(child, nullptr, 0);
    EXPECT_FALSE(process_state(child));
    EXPECT_FALSE(process_runs(child));
}

} // namespace
} // namespace tidemark::base
