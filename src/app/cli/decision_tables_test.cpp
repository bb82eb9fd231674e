#include "app/cli/decision_tables.h"

#include "app/cli/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

model::Mark behind_a_failover()
{
    model::Mark mark;
    mark.decision_tables = {{"d", "public.outcome.gid"}};
    mark.decided = {{.member = "a", .gid = "late", .global_id = "late"},
                    {.member = "a", .gid = "one", .global_id = "one", .carried = true},
                    {.member = "a", .gid = "two", .global_id = "two", .carried = true}};
    return mark;
}

TEST(DecisionTablesTest, AMarkBehindAFailoverSaysWhatIsToBeAskedFor)
{
    auto mark = behind_a_failover();
    EXPECT_THAT(commits_to_ask_for(mark), HasSubstr("whether 2 commits around that"));
    for (auto& commit : mark.decided)
        commit.inherited = commit.carried;
    EXPECT_THAT(commits_to_ask_for(mark), IsEmpty()) << "they have been told of";
    mark.decided.clear();
    EXPECT_THAT(commits_to_ask_for(mark), IsEmpty());
}

/// It is on its own no reason to end with 3.
TEST(DecisionTablesTest, ItIsANote)
{
    Options options;
    options.command = "run";
    Output output{"run", false};
    Environment environment{options, output};
    testing::internal::CaptureStderr();
    note_commits_to_ask_for(environment, behind_a_failover());
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("2 commits around that"));
    EXPECT_THAT(environment.progress().warnings(), IsEmpty());
}

} // namespace
} // namespace tidemark::app
