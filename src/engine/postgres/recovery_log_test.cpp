#include "engine/postgres/recovery_log.h"

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

} // namespace
} // namespace tidemark::engine::postgres
