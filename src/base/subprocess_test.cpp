#include "base/subprocess.h"

#include "base/environment.h"
#include "base/temp_dir.h"

#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

namespace tidemark::base {
namespace {

using namespace std::chrono_literals;

RunResult shell(const std::string& script, ProcessOptions options = {})
{
    return run({"/bin/sh", "-c", script}, {.process = std::move(options), .deadline = 20s});
}

TEST(SubprocessTest, ReturnsOutputAndExitCode)
{
    auto result = shell("echo out; echo err >&2; exit 3");
    EXPECT_EQ(result.out, "out\n");
    EXPECT_EQ(result.err, "err\n");
    EXPECT_EQ(result.exit.code, 3);
    EXPECT_FALSE(result.exit.success());
    EXPECT_EQ(result.exit.describe(), "exit code 3");
}

TEST(SubprocessTest, ArgumentsArriveUntouchedByAnyShell)
{
    std::string hostile = "$(touch /tmp/x); `id` ' \" \n *";
    EXPECT_EQ(run({"printf", "%s", hostile}).out, hostile);
}

TEST(SubprocessTest, InputIsBytesOrNothing)
{
    std::string input(300'000, 'x');
    input += '\0';
    EXPECT_EQ(run({"cat"}, {.process = {.input = input}}).out, input);
    EXPECT_EQ(run({"cat"}).out, "");
}

TEST(SubprocessTest, ProgramsThatCannotStartAreErrors)
{
    EXPECT_THROW(run({"/nowhere/program"}), Error);
    EXPECT_THROW(run({"no-such-program-anywhere"}), Error);
    try {
        run({"/bin/true"}, {.process = {.directory = "/nowhere"}});
        FAIL() << "started";
    } catch (const Error& error) {
        EXPECT_EQ(error.message(),
                  "cannot enter the working directory of /bin/true: No such file or directory");
    }
}

TEST(SubprocessTest, EnvironmentAndDirectory)
{
    auto set = shell("echo $TIDEMARK_A; pwd",
                     {.directory = "/usr", .environment = {{"TIDEMARK_A", "a b"}}});
    EXPECT_EQ(set.out, "a b\n/usr\n");
    auto clean =
        run({"env"}, {.process = {.environment = {{"ONLY", "1"}}, .clean_environment = true}});
    EXPECT_EQ(clean.out, "ONLY=1\n");
}

TEST(SubprocessTest, TheBasicEnvironmentHoldsNoSecret)
{
    ::setenv("PGPASSWORD", "hunter2secret", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "hunter2secret", 1);
    auto says =
        run({"env"}, {.process = {.environment = basic_environment(), .clean_environment = true}})
            .out;
    ::unsetenv("PGPASSWORD");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
    EXPECT_EQ(says.find("hunter2secret"), says.npos) << says;
    EXPECT_NE(says.find("PATH="), says.npos) << says;
}

TEST(SubprocessTest, OutputToAFileIsAppended)
{
    TempDir dir;
    Output file{Output::To::file, dir.path() / "log"};
    shell("echo one", {.out = file});
    auto result = shell("echo two; echo lost >&2", {.out = file, .err = {Output::To::nowhere}});
    EXPECT_EQ(as_text(read_file(dir.path() / "log", 100)), "one\ntwo\n");
    EXPECT_EQ(result.out + result.err, "");
}

TEST(SubprocessTest, TheDeadlineKills)
{
    auto start = std::chrono::steady_clock::now();
    auto result = run({"sleep", "60"}, {.deadline = 50ms});
    EXPECT_TRUE(result.exit.timed_out);
    EXPECT_EQ(result.exit.signal, SIGKILL);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 20s);
}

TEST(SubprocessTest, AStopRequestKills)
{
    std::stop_source stop;
    auto process = Process::spawn({"sleep", "60"});
    std::jthread stopper{[&] { stop.request_stop(); }};
    EXPECT_FALSE(process.wait_for(60s, stop.get_token()));
    EXPECT_TRUE(process.running());
    EXPECT_THROW(run({"sleep", "60"}, {.stop = stop.get_token()}), Error);
}

TEST(SubprocessTest, ALeftDaemonDoesNotHoldUs)
{
    auto process =
        Process::spawn({"/bin/sh", "-c", "sleep 60 & echo started"}, {.new_session = true});
    auto exit = process.wait_for(20s);
    ASSERT_TRUE(exit);
    EXPECT_TRUE(exit->success());
    EXPECT_EQ(process.out(), "started\n");
    ::kill(-process.pid(), SIGKILL);
}

TEST(SubprocessTest, KillReachesTheWholeSession)
{
    auto process =
        Process::spawn({"/bin/sh", "-c", "sleep 60 & echo $!; wait"}, {.new_session = true});
    while (process.out().find('\n') == std::string::npos)
        std::this_thread::yield();
    pid_t grandchild = std::stoi(process.out());
    process.kill(SIGTERM);
    EXPECT_EQ(process.wait().signal, SIGTERM);
    // Gone, or waiting as a zombie for whoever adopted it.
    std::string state = "Z";
    for (int i = 0; i < 1000 && ::kill(grandchild, 0) == 0; ++i) {
        state = run({"ps", "-o", "stat=", "-p", std::to_string(grandchild)}).out;
        if (state.empty() || state.starts_with("Z")) break;
    }
    EXPECT_TRUE(state.empty() || state.starts_with("Z")) << state;
}

TEST(SubprocessTest, TheDestructorKills)
{
    pid_t pid = 0;
    {
        auto process = Process::spawn({"sleep", "60"});
        pid = process.pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_NE(::kill(pid, 0), 0);
}

TEST(SubprocessTest, OnlyTheThreeStreamsAreInherited)
{
    int leaky = ::open("/dev/null", O_RDONLY); // without O_CLOEXEC, as a careless library would
    auto listed = run({"ls", "/proc/self/fd"});
    ::close(leaky);
    EXPECT_EQ(listed.out, "0\n1\n2\n3\n"); // 3 is the listing itself
}

TEST(SubprocessTest, SignalsAreReset)
{
    auto old = std::signal(SIGTERM, SIG_IGN);
    auto result = shell("kill -TERM $$; echo survived");
    std::signal(SIGTERM, old);
    EXPECT_EQ(result.exit.signal, SIGTERM);
    EXPECT_EQ(result.exit.describe(), "killed by signal 15 (Terminated)");
}

TEST(SubprocessTest, RunsAsAnotherUser)
{
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    auto user = lookup_user("nobody");
    auto result = shell("id -u; id -g; id -G", {.user = user});
    std::string all;
    for (gid_t group : user.groups)
        all += fmt::format("{} ", group);
    all.back() = '\n';
    EXPECT_EQ(result.out, fmt::format("{}\n{}\n{}", user.uid, user.gid, all));
}

TEST(SubprocessTest, UnknownUsersAreRefused)
{
    EXPECT_EQ(lookup_user("root").uid, 0U);
    EXPECT_EQ(lookup_user("root").home, "/root");
    EXPECT_THROW(lookup_user("no-such-user-here"), Error);
}

TEST(SubprocessTest, ManyThreadsSpawnAtOnce)
{
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([i] {
            for (int n = 0; n < 10; ++n) {
                EXPECT_EQ(run({"echo", std::to_string(i)}).out, fmt::format("{}\n", i));
            }
        });
    }
}

} // namespace
} // namespace tidemark::base
