#include "app/cli/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using testing::HasSubstr;
using testing::Not;

const base::Time kNow = *base::parse_time("2026-11-22T12:00:00Z");

job::GroupStatus healthy()
{
    job::GroupStatus status;
    status.group = "shop";
    status.now = kNow;
    status.restorable.emplace();
    status.restorable->value.created = kNow;
    status.rhythm = model::ObjectiveState{.name = "lose_at_most",
                                          .limit = std::chrono::hours{3},
                                          .actual = base::Duration{},
                                          .met = true};
    status.last_run.emplace();
    status.last_run->value.ended = kNow;
    return status;
}

TEST(Metrics, TellHowTheLastRunEnded)
{
    auto text = render_metrics(healthy());
    EXPECT_THAT(text, HasSubstr("\ntidemark_last_run_exit{group=\"shop\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_runs_broken_off{group=\"shop\"} 0\n"));
    EXPECT_THAT(text,
                HasSubstr("\ntidemark_last_run_timestamp_seconds{group=\"shop\"} 1795348800"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_needs_attention{group=\"shop\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_repository_up{group=\"shop\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_mark_age_limit_seconds{group=\"shop\"} 10800\n"));
    auto unrecorded = healthy();
    unrecorded.unrecorded_run.emplace();
    unrecorded.unrecorded_run->exit_code = 32;
    unrecorded.unrecorded_run->ended = kNow + std::chrono::minutes{1};
    EXPECT_THAT(render_metrics(unrecorded),
                HasSubstr("\ntidemark_last_run_exit{group=\"shop\"} 32\n"));
    EXPECT_THAT(render_metrics(unrecorded),
                HasSubstr("\ntidemark_needs_attention{group=\"shop\"} 1\n"));
    // The repository could be read but not written: it does not know of this one.
    text = render_metrics(healthy(), LastRun{.exit = 13, .ended = kNow});
    EXPECT_THAT(text, HasSubstr("\ntidemark_last_run_exit{group=\"shop\"} 13\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_needs_attention{group=\"shop\"} 1\n"));
}

TEST(Metrics, WithoutTheRepositoryNothingIsSaidToBeWell)
{
    auto before = render_metrics(healthy());
    auto text = render_outage("shop", {.exit = 13, .ended = kNow}, before);
    EXPECT_THAT(text, HasSubstr("\ntidemark_last_run_exit{group=\"shop\"} 13\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_repository_up{group=\"shop\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_needs_attention{group=\"shop\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("\ntidemark_mark_timestamp_seconds{group=\"shop\"} 1795348800"));
    EXPECT_THAT(text, Not(HasSubstr("tidemark_restorable")));
    EXPECT_THAT(render_outage("other", {.exit = 13, .ended = kNow}, before),
                Not(HasSubstr("mark_timestamp")));
    EXPECT_THAT(render_outage("shop", {.exit = 13, .ended = kNow}, ""),
                Not(HasSubstr("mark_timestamp")));
    // And again and again, from what it wrote itself.
    EXPECT_THAT(render_outage("shop", {.exit = 13, .ended = kNow}, text),
                HasSubstr("tidemark_mark_timestamp_seconds{"));
}

} // namespace
} // namespace tidemark::app
