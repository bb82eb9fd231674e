#include "app/cli/environment.h"

#include "base/temp_dir.h"
#include "repo/runs.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace tidemark::app {
namespace {

TEST(RecordedRunTest, WhateverEndsARunIsRecordedAndIsAnError)
{
    base::TempDir dir;
    Options options;
    options.command = "mark";
    options.quiet = true;
    Output output("mark", false);
    Environment environment(options, output);
    environment.set_repository(
        {.name = "main", .url = (dir.path() / "repository").string(), .compression_level = 2});
    model::GroupSpec group;
    group.name = "shop";
    environment.set_group(group);
    base::SeededRandom random(1);
    repo::Repository::create(environment.open_place(true), random);

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

} // namespace
} // namespace tidemark::app
