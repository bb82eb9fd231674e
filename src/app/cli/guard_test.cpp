#include "app/cli/guard.h"

#include "base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

/// What a run that worked says of the guard, on a host that remembers in `folder`.
std::string said_with(const std::filesystem::path& folder, std::optional<double> drop)
{
    base::TempDir place;
    Options options;
    options.command = "run";
    Output output{"run", false};
    Environment environment{options, output};
    environment.set_repository(
        {.name = "main", .url = (place.path() / "repository").string(), .compression_level = 2});
    model::GroupSpec group;
    group.name = "shop";
    group.log_guard.drop = drop;
    environment.set_group(group);
    base::SystemRandom random;
    repo::Repository::create(environment.open_place(true), random);
    testing::internal::CaptureStderr();
    RunGuard(environment, folder).remember_clusters();
    return testing::internal::GetCapturedStderr();
}

TEST(RunGuard, AHostThatCanRememberNothingSaysSo)
{
    constexpr const char* note = "while the repository is away the log guard will drop nothing";
    EXPECT_THAT(said_with({}, 0.9), testing::HasSubstr(note));
    EXPECT_EQ(said_with({}, std::nullopt), "") << "it never would";
    base::TempDir folder;
    EXPECT_EQ(said_with(folder.path(), 0.9), "");
}

} // namespace
} // namespace tidemark::app
