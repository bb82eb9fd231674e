#include "engine/postgres/recovery_log.h"

#include "base/error_testing.h"
#include "base/mount_testing.h"
#include "base/temp_dir.h"
#include "engine/postgres/recovery_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kSegment = 16U << 20;
const std::string kStamp = "2026-11-22 17:00:00.000 UTC [77] ";

RecoveryLog read(std::initializer_list<const char*> lines)
{
    RecoveryLog log{kSegment};
    for (const char* line : lines)
        log.feed(kStamp + line + "\n");
    return log;
}

base::Error error_of(const RecoveryLog& log)
{
    RecoveryGoal goal;
    goal.position = 0x3000148;
    return recovery_error(log, goal, {.code = 1}, "/work/recover.log");
}

TEST(RecoveryLogTest, ProgressAndTarget)
{
    auto log = read({"LOG:  starting point-in-time recovery to WAL location (LSN) \"0/3000148\"",
                     "LOG:  restored log file \"000000010000000200000003\" from archive"});
    EXPECT_EQ(log.replayed(), 0x203000000U);
    log.feed(kStamp + "LOG:  redo in progress, elapsed time: 1.00 s, current LSN: 2/30000");
    EXPECT_EQ(log.replayed(), 0x203000000U); // not a whole line yet
    log.feed("F0\n");
    EXPECT_EQ(log.replayed(), 0x2030000F0U);
    EXPECT_FALSE(log.stop_line());
    log.feed(kStamp + "LOG:  recovery stopping before WAL location (LSN) \"2/3000148\"\n" + kStamp +
             "LOG:  shutdown at recovery target\n");
    EXPECT_EQ(log.stop_line(), "recovery stopping before WAL location (LSN) \"2/3000148\"");
    EXPECT_EQ(log.stopped_at(), 0x203000148U);
    EXPECT_TRUE(log.shut_down_at_target());
}

TEST(RecoveryLogTest, OtherTargetsHaveNoPosition)
{
    auto log =
        read({"LOG:  recovery stopping at restore point \"m1\", time 2026-11-22 17:00:00+00"});
    EXPECT_TRUE(log.stop_line());
    EXPECT_FALSE(log.stopped_at());
}

TEST(RecoveryLogTest, MissingLog)
{
    auto error =
        error_of(read({"LOG:  invalid record length at 0/3000060: wanted 24, got 0",
                       "FATAL:  recovery ended before configured recovery target was reached"}));
    EXPECT_EQ(error.code(), base::Code::point_not_reachable);
    EXPECT_THAT(error.what(), HasSubstr("FATAL: recovery ended before"));
    EXPECT_THAT(error.what(), HasSubstr("invalid record length at 0/3000060"));
    EXPECT_THAT(error.hint(), HasSubstr("tidemark verify"));
}

TEST(RecoveryLogTest, KnownReasonsHaveTheirCode)
{
    EXPECT_EQ(
        error_of(
            read(
                {"FATAL:  could not write to file \"pg_wal/xlogtemp.7\": No space left on device"}))
            .code(),
        base::Code::out_of_space);
    EXPECT_EQ(
        error_of(read({"FATAL:  could not access file \"timescaledb\": No such file or directory"}))
            .code(),
        base::Code::member_not_ready);
    EXPECT_EQ(
        error_of(
            read({"FATAL:  requested recovery stop point is before consistent recovery point"}))
            .code(),
        base::Code::point_not_reachable);
    auto prepared = error_of(read({"FATAL:  maximum number of prepared transactions reached",
                                   "HINT:  Increase max_prepared_transactions (currently 2)."}));
    EXPECT_EQ(prepared.code(), base::Code::not_restorable);
    EXPECT_THAT(prepared.what(), HasSubstr("currently 2"));
    EXPECT_THAT(prepared.hint(), HasSubstr("tidemark reindex"));
    auto fetch = error_of(read({"FATAL:  could not restore file \"000000010000000000000003\" from "
                                "archive: child process exited with exit code 200"}));
    EXPECT_EQ(fetch.code(), base::Code::not_restorable);
    EXPECT_THAT(fetch.hint(), HasSubstr("tidemark verify"));
    EXPECT_THAT(error_of(read({})).what(), HasSubstr("exit code 1"));
}

TEST(RecoveryLogTest, WhatThisHostLacksIsNotTheLogsFault)
{
    for (const char* line :
         {"FATAL:  \"min_wal_size\" must be at least twice \"wal_segment_size\"",
          "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
          "FATAL:  could not create shared memory segment: No space left on device",
          "FATAL:  could not create semaphores: No space left on device",
          "FATAL:  configuration file \"/w/recover.conf\" contains errors",
          "FATAL:  data directory \"/w/data\" has wrong ownership",
          "FATAL:  could not restore file \"0\" from archive: command not executable",
          "FATAL:  could not restore file \"0\" from archive: command not found",
          "FATAL:  could not open file \"pg_wal/0\": Permission denied"})
        EXPECT_EQ(error_of(read({line})).code(), base::Code::member_not_ready) << line;
}

TEST(RecoveryLogTest, OnlyWhatLeadsElsewhereIsNotReachable)
{
    for (const char* line : {"PANIC:  could not locate a valid checkpoint record",
                             "FATAL:  WAL ends before end of online backup",
                             "PANIC:  WAL contains references to invalid pages",
                             "FATAL:  WAL was generated with \"wal_level=minimal\", cannot go on",
                             "FATAL:  recovery target timeline 7 does not exist"})
        EXPECT_EQ(error_of(read({line})).code(), base::Code::point_not_reachable) << line;
    auto unknown = error_of(read({"PANIC:  a thing that nobody has seen before"}));
    EXPECT_EQ(unknown.code(), base::Code::failed);
    EXPECT_THAT(unknown.hint(), HasSubstr("/work/recover.log"));
    EXPECT_EQ(error_of(read({"FATAL:  pre-existing shared memory block (key 1, ID 2) is still in "
                             "use"}))
                  .code(),
              base::Code::failed);
    EXPECT_EQ(error_of(read({})).code(), base::Code::failed) << "killed, perhaps";
}

// Our own attempts to connect, many a second, until the server that is promoted answers or ends.
TEST(RecoveryLogTest, ThoseWhoAskTooEarlyHideNothing)
{
    RecoveryLog log{kSegment};
    for (int i = 0; i < 100; ++i)
        log.feed(kStamp + "FATAL:  the database system is not accepting connections\n" + kStamp +
                 "DETAIL:  Hot standby mode is disabled.\n" + kStamp +
                 "FATAL:  the database system is starting up\n");
    log.feed(kStamp +
             "FATAL:  could not create file \"pg_wal/xlogtemp.7\": No space left on "
             "device\n" +
             kStamp + "HINT:  more of it\n");
    auto error = error_of(log);
    EXPECT_EQ(error.code(), base::Code::out_of_space) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("xlogtemp.7"));
    EXPECT_THAT(error.what(), HasSubstr("more of it"));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("database system")));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("Hot standby")));
}

constexpr const char* kShutdown = "LOG:  shutdown at recovery target";

ControlFile control_at(model::Offset min_recovery)
{
    ControlFile control;
    control.state = ClusterState::shut_down_in_recovery;
    control.min_recovery = {1, min_recovery};
    control.wal_page_size = 8192;
    control.wal_segment_size = kSegment;
    return control;
}

struct JudgeRecoveryTest : ::testing::Test {
    JudgeRecoveryTest()
    {
        goal.position = 0x3000148;
        goal.epoch = 1;
    }
    Reached judge(std::initializer_list<const char*> lines, const ControlFile& control,
                  base::Exit exit = {}) const
    {
        return judge_recovery(RecoveryRun{exit, read(lines)}, goal, control, "/work/recover.log");
    }
    void expect_elsewhere(const char* stop, model::Offset min_recovery) const
    {
        auto error = base::error_of([&] { judge({stop, kShutdown}, control_at(min_recovery)); });
        EXPECT_EQ(error.code(), base::Code::point_not_reachable) << stop;
        EXPECT_THAT(error.what(), HasSubstr("recovery ended elsewhere than at 0/")) << stop;
    }
    RecoveryGoal goal;
};

constexpr const char* kStopAtGoal =
    "LOG:  recovery stopping before WAL location (LSN) \"0/3000148\"";

// rule 22
TEST_F(JudgeRecoveryTest, TheGoalIsProvedByLogAndControlFile)
{
    auto reached = judge({kStopAtGoal, kShutdown}, control_at(0x3000100));
    EXPECT_EQ(reached.position, (model::LogPosition{1, 0x3000148}));
    EXPECT_THAT(reached.evidence, HasSubstr("recovery stopping before"));
    EXPECT_THAT(reached.evidence, HasSubstr("0/3000100"));
    judge({kStopAtGoal, kShutdown}, control_at(0x3000148));
}

// rule 22
TEST_F(JudgeRecoveryTest, AGoalAtAPagesStartIsTheRecordBehindItsHeader)
{
    goal.position = 0x3002000;
    auto reached =
        judge({"LOG:  recovery stopping before WAL location (LSN) \"0/3002018\"", kShutdown},
              control_at(0x3001000));
    EXPECT_EQ(reached.position.offset, 0x3002000U);
    expect_elsewhere("LOG:  recovery stopping before WAL location (LSN) \"0/3002028\"", 0x3001000);
    goal.position = 0x4000000; // a segment's first page has a longer one
    judge({"LOG:  recovery stopping before WAL location (LSN) \"0/4000028\"", kShutdown},
          control_at(0x3001000));
    expect_elsewhere("LOG:  recovery stopping before WAL location (LSN) \"0/4000018\"", 0x3001000);
}

// rule 22
TEST_F(JudgeRecoveryTest, WhatEndedElsewhereIsNoGoal)
{
    expect_elsewhere("LOG:  recovery stopping before WAL location (LSN) \"0/3000190\"", 0x3000100);
    expect_elsewhere("LOG:  recovery stopping before WAL location (LSN) \"0/3000160\"", 0x3000100);
    expect_elsewhere("LOG:  recovery stopping at restore point \"m\", time 2026-11-22 17:00:00+00",
                     0x3000100);
    expect_elsewhere(kStopAtGoal, 0x3000149);
}

// rule 22
TEST_F(JudgeRecoveryTest, WithoutTheServersWordNothingIsReached)
{
    auto good = control_at(0x3000100);
    EXPECT_THROW(judge({kStopAtGoal}, good), base::Error);
    EXPECT_THROW(judge({kShutdown}, good), base::Error);
    EXPECT_THROW(judge({kStopAtGoal, kShutdown}, good, {.code = 1}), base::Error);
    for (auto state : {ClusterState::in_production, ClusterState::in_archive_recovery}) {
        auto control = good;
        control.state = state; // it fell through into a promotion, or died
        EXPECT_THROW(judge({kStopAtGoal, kShutdown}, control), base::Error);
    }
}

// The disk that is full holds the server's log as well.
TEST_F(JudgeRecoveryTest, AFullDiskIsToBlameForWhatTheServerCouldNotSay)
{
    base::TempDir dir;
    base::SmallMount disk(dir.path(), "size=1m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto error = [&](const std::filesystem::path& log_file) {
        return base::error_of([&] {
            judge_recovery(RecoveryRun{{.code = 1}, read({"PANIC:  could not write init file"})},
                           goal, control_at(0x3000100), log_file);
        });
    };
    EXPECT_EQ(error(dir.path() / "recover.log").code(), base::Code::out_of_space);
    EXPECT_THAT(error(dir.path() / "recover.log").what(), HasSubstr("PANIC: could not write init"));
    // Who says what else is wrong is believed.
    auto library = base::error_of([&] {
        judge_recovery(RecoveryRun{{.code = 1},
                                   read({"FATAL:  could not access file \"timescaledb\": No "
                                         "such file or directory"})},
                       goal, control_at(0x3000100), dir.path() / "recover.log");
    });
    EXPECT_EQ(library.code(), base::Code::member_not_ready);
    disk.change("size=64m");
    EXPECT_EQ(error(dir.path() / "recover.log").code(), base::Code::failed);
}

} // namespace
} // namespace tidemark::engine::postgres
