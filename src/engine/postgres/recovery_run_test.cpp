#include "engine/postgres/recovery_run.h"

#include "base/error.h"
#include "base/subprocess.h"
#include "base/temp_dir.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// rule 26: a crash of a server that a killed run left is told, not taken for a killed one that
// lingers
TEST(RecoveryRunTest, OfAnAdoptedServerOnlyItsWordsSinceThenCount)
{
    base::TempDir dir{"tmrr"};
    const auto data = dir.path() / "data";
    const auto work = dir.path() / "work";
    const auto log = work / "run.log";
    fs::create_directory(data);
    fs::create_directory(work);
    auto say = [&](const std::string& words) {
        std::ofstream(log, std::ios::app)
            << "2026-11-22 17:00:00.000 UTC [77] FATAL:  " << words << "\n";
    };
    say("lock file \"postmaster.pid\" already exists"); // of a start days ago
    const auto program = dir.path() / "postgres";
    std::ofstream(program) << "#!/bin/sh\nkill -STOP $$\n";
    fs::permissions(program, fs::perms::owner_all);
    auto server = base::Process::spawn({program, "--config-file=" + (work / "run.conf").native()});
    int status = 0;
    ASSERT_EQ(::waitpid(server.pid(), &status, WUNTRACED), server.pid());
    ASSERT_TRUE(WIFSTOPPED(status));
    ServerProcess process({.bin_dir = dir.path(),
                           .data_dir = data,
                           .work_dir = work,
                           .config_file = work / "run.conf",
                           .log_file = log,
                           .user = std::nullopt});
    ASSERT_TRUE(process.adopt());
    say("what it died of");
    server.kill(SIGKILL);
    server.wait();
    RestoredServer asked{{dir.path(), 5432, "postgres"}, TargetFolder{work, std::nullopt}};
    try {
        wait_for_promoted(process, asked, log, {});
        FAIL() << "open";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::failed);
        EXPECT_THAT(error.what(),
                    HasSubstr("the promoted server ended by itself: FATAL: what it died of"));
        EXPECT_THAT(error.what(), Not(HasSubstr("lock file")));
    }
}

} // namespace
} // namespace tidemark::engine::postgres
