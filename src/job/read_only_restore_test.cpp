// A restore from a repository that takes nothing: a snapshot, another account's, a full disk.

#include "base/error.h"
#include "job/group_restore.h"
#include "job/joint_restore.h"
#include "job/restored_world_testing.h"
#include "repo/log_catalog.h"
#include "store/faulty.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class ReadOnlyRestoreTest : public ::testing::Test, protected RestoredWorld {
protected:
    ReadOnlyRestoreTest() { store_.set_read_only(true); }

    /// The world, seen through the store that fails.
    Context context()
    {
        auto whole = world_.context();
        return {.repository = repository_,
                .engine = whole.engine,
                .group = whole.group,
                .progress = whole.progress,
                .clock = whole.clock,
                .stop = {},
                .workers = 1,
                .command = "restore",
                .host = "here"};
    }
    RestoreReport restore_here() { return restore_group(context(), plan_, options_); }
    std::vector<std::string> keys()
    {
        std::vector<std::string> out;
        for (const auto& object : world_.storage().list("groups/"))
            out.push_back(object.key);
        return out;
    }
    std::vector<model::Epoch> claims(const std::string& member)
    {
        return repo::LogCatalog::load(world_.storage(), {.group = "shop", .member = member}).claims;
    }

    store::FaultyStorage store_{
        std::shared_ptr<store::Storage>(std::shared_ptr<void>{}, &world_.storage())};
    repo::Repository repository_ = repo::Repository::open(store_);
};

// rule 24
TEST_F(ReadOnlyRestoreTest, OpensAndSaysThatItsTimelinesAreNotKnown)
{
    const auto before = keys();
    auto report = restore_here();
    expect_all_open();
    EXPECT_THAT(report.warnings, Contains(AllOf(HasSubstr("new timelines (2 at a, 2 at b)"),
                                                HasSubstr("Read-only"))));
    EXPECT_EQ(state("a").claimed, 2U);
    EXPECT_EQ(keys(), before);
}

TEST_F(ReadOnlyRestoreTest, AFullOneIsRestoredFromToo)
{
    store_.heal();
    store_.set_space(0);
    auto report = restore_here();
    expect_all_open();
    EXPECT_THAT(report.warnings,
                Contains(AllOf(HasSubstr("new timelines"), HasSubstr("No space"))));
}

TEST_F(ReadOnlyRestoreTest, WhatTakesThemIsNotWarnedOf)
{
    store_.heal();
    EXPECT_THAT(restore_here().warnings, Not(Contains(HasSubstr("new timelines"))));
    expect_all_open();
    EXPECT_THAT(claims("a"), testing::ElementsAre(2U));
    EXPECT_THAT(state("a").unclaimed, IsEmpty());
}

/// Another one than the first run's way out says it, and the number stays what it was.
TEST_F(ReadOnlyRestoreTest, AKillDoesNotMakeItForgetThat)
{
    fail("b", "promote");
    EXPECT_THROW(restore_here(), Error);
    ASSERT_EQ(state("b").phase, RestorePhase::claimed);
    store_.heal();
    auto report = restore_here();
    expect_all_open();
    EXPECT_THAT(report.warnings, Contains(HasSubstr("new timelines (2 at a, 2 at b)")));
}

TEST_F(ReadOnlyRestoreTest, AnythingElseThatGoesWrongThereKeepsItClosed)
{
    store_.heal();
    store_.fail(store::Operation::create, {Code::failed, "went wrong"},
                {.after = 0, .times = store::FaultyStorage::kAlways});
    EXPECT_THROW(restore_here(), Error);
    EXPECT_EQ(state("a").phase, RestorePhase::at_mark);
    EXPECT_EQ(state("b").phase, RestorePhase::at_mark);
}

TEST_F(ReadOnlyRestoreTest, ThePlanSaysSoBeforehand)
{
    EXPECT_THAT(check_restore(context(), plan_, options_), Contains(HasSubstr("new timelines")));
    EXPECT_THAT(check_restore(world_.context(), plan_, options_),
                Not(Contains(HasSubstr("new timelines"))));
    options_.scratch = true; // a drill takes none
    EXPECT_THAT(check_restore(context(), plan_, options_),
                Not(Contains(HasSubstr("new timelines"))));
}

TEST_F(ReadOnlyRestoreTest, HostsThatMeetThereAreRefusedBeforeAByteMoves)
{
    try {
        restore_to_mark(context(), plan_, options_, {.program = "test"});
        FAIL() << "nobody else would hear of it";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::repository_unreachable);
        EXPECT_THAT(error.what(), HasSubstr("hosts of a restore meet"));
        EXPECT_THAT(error.hint(), HasSubstr("--alone"));
    }
    EXPECT_FALSE(fs::exists(dir_.path() / "a"));
}

} // namespace
} // namespace tidemark::job
