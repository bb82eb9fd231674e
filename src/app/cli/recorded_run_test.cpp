#include "app/cli/environment.h"

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
        return recorded_run(environment, [&](model::Run&) -> int { throw how; });
    };
    EXPECT_THROW(ends(std::runtime_error("no memory")), base::Error);
    EXPECT_THROW(ends(base::Error(base::Code::log_gap, "gone")), base::Error);
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

} // namespace
} // namespace tidemark::app
