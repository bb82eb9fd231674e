#include "app/cli/environment.h"

#include "app/cli/unrecorded.h"
#include "base/temp_dir.h"
#include "repo/open_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace tidemark::app {
namespace {

class RecordedRunTest : public testing::Test {
protected:
    RecordedRunTest()
    {
        environment.set_repository(
            {.name = "main", .url = (dir.path() / "repository").string(), .compression_level = 2});
        model::GroupSpec group;
        group.name = "shop";
        environment.set_group(group);
        base::SeededRandom random(1);
        repo::Repository::create(environment.open_place(true), random);
    }

    static Options quiet_mark()
    {
        Options out;
        out.command = "mark";
        out.quiet = true;
        return out;
    }

    base::TempDir dir;
    Options options = quiet_mark();
    Output output{"mark", false};
    Environment environment{options, output};
};

TEST_F(RecordedRunTest, WhateverEndsARunIsRecordedAndIsAnError)
{
    auto ends = [&](const auto& how) {
        return recorded_run(environment, [&](model::Run&) {
            how();
            return 0;
        });
    };
    EXPECT_THROW(ends([] { throw std::runtime_error("no memory"); }), base::Error);
    EXPECT_THROW(ends([] { throw base::Error(base::Code::log_gap, "gone"); }), base::Error);
    auto runs = repo::Runs(environment.repository().storage(), "shop").list();
    ASSERT_EQ(runs.size(), 2U); // newest first
    EXPECT_EQ(runs[0].value.exit_code, 23);
    EXPECT_EQ(runs[1].value.exit_code, 1);
    ASSERT_TRUE(runs[1].value.error);
    EXPECT_EQ(runs[1].value.error->message, "no memory");
}

TEST_F(RecordedRunTest, OneThatWasKilledIsRecordedAndToldByTheNext)
{
    auto dead = repo::LeaseOwner::this_process("run");
    ++dead.pid_start;
    auto& storage = environment.repository().storage();
    auto trace = repo::leave_trace(storage, "shop", dead, {.renew = false});
    int at_work = 0;
    recorded_run(environment, [&](model::Run&) {
        for (const auto& run : repo::open_runs(storage, "shop"))
            at_work += run.broken_off ? 0 : 1;
        return 0;
    });
    EXPECT_EQ(at_work, 1);
    EXPECT_TRUE(repo::open_runs(storage, "shop").empty());
    ASSERT_EQ(environment.progress().warnings().size(), 1U);
    EXPECT_THAT(environment.progress().warnings()[0],
                testing::HasSubstr("run-1 was broken off: no sign of `tidemark run`"));
    auto runs = repo::Runs(storage, "shop").list();
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0].value.warnings.size(), 1U);
    EXPECT_TRUE(runs[1].value.broken_off);
}

/// What one process of the job has; there is one at a time.
struct OneRun {
    explicit OneRun(const std::filesystem::path& repository)
    {
        environment.set_repository(
            {.name = "main", .url = repository.string(), .compression_level = 2});
        model::GroupSpec group;
        group.name = "shop";
        environment.set_group(group);
    }

    /// Ends with `code`; what `memory` holds then.
    std::optional<model::Run> remembered_after(int code, const std::filesystem::path& memory)
    {
        auto work = [&](model::Run& run) -> int {
            if (code != 0) throw base::Error(base::Code{code}, "the disk is away");
            run.set = 1;
            return 0;
        };
        if (code == 0)
            EXPECT_EQ(recorded_run(environment, work, {}, memory), 0);
        else
            EXPECT_THROW(recorded_run(environment, work, {}, memory), base::Error);
        return unrecorded_run(environment, memory);
    }

    static Options quiet_run()
    {
        Options out;
        out.command = "run";
        out.quiet = true;
        return out;
    }

    Options options = quiet_run();
    Output output{"run", false};
    Environment environment{options, output};
};

TEST(UnrecordedRun, IsRememberedOnThisHostUntilALaterOneWorked)
{
    base::TempDir dir;
    const auto place = dir.path() / "repository";
    const auto memory = dir.path() / "state";
    {
        base::SeededRandom random(1);
        repo::Repository::create(OneRun(place).environment.open_place(true), random);
    }
    EXPECT_FALSE(OneRun(place).remembered_after(13, memory)) << "the repository holds it";
    std::filesystem::rename(place, dir.path() / "away");
    EXPECT_FALSE(OneRun(place).remembered_after(11, memory)) << "another run was at work";
    auto failed = OneRun(place).remembered_after(32, memory);
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->command, "run");
    EXPECT_EQ(failed->exit_code, 32);
    ASSERT_TRUE(failed->error);
    EXPECT_EQ(failed->error->message, "the disk is away");
    EXPECT_GE(failed->ended, failed->started);

    std::filesystem::rename(dir.path() / "away", place);
    failed = OneRun(place).remembered_after(13, memory);
    ASSERT_TRUE(failed) << "none has worked since";
    EXPECT_EQ(failed->exit_code, 32);
    EXPECT_FALSE(OneRun(place).remembered_after(0, memory));
}

} // namespace
} // namespace tidemark::app
