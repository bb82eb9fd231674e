#include "model/objective.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using namespace std::chrono_literals;

TEST(ObjectiveTest, OnlyWhatIsAskedForIsCompared)
{
    EXPECT_FALSE(Objective{}.any());
    EXPECT_TRUE(compare_objective({}, {}, {}, base::Time{}).empty());
}

TEST(ObjectiveTest, TheLimitItselfIsMetAndAbsenceIsNot)
{
    auto now = *base::parse_time("2026-11-22T12:00:00Z");
    Objective objective{.lose_at_most = 30min, .restore_within = 1h, .drill_every = 24h};
    Proof proof{.mark = 1, .drill = 2, .at = now - 25h, .restore_took = 1h};
    auto states = compare_objective(objective, now - 30min, proof, now);
    ASSERT_EQ(states.size(), 3U);
    EXPECT_TRUE(states[0].met);
    EXPECT_TRUE(states[1].met);
    EXPECT_FALSE(states[2].met);
    EXPECT_EQ(states[2].actual, base::Duration{25h});
    for (const auto& state : compare_objective(objective, {}, {}, now)) {
        EXPECT_FALSE(state.met) << state.name;
        EXPECT_FALSE(state.actual.has_value());
    }
}

// A mark or a proof from a clock that was ahead would hold an objective for years.
TEST(ObjectiveTest, WhatLiesInTheFutureIsNotMet)
{
    auto now = *base::parse_time("2026-11-22T12:00:00Z");
    Objective objective{.lose_at_most = 30min, .drill_every = 24h};
    Proof proof{.mark = 1, .drill = 2, .at = now + 1h, .restore_took = 1h};
    for (const auto& state : compare_objective(objective, now + 1h, proof, now))
        EXPECT_FALSE(state.met) << state.name;
    // Two hosts' clocks are never equal.
    proof.at = now + 1min;
    for (const auto& state : compare_objective(objective, now + 1min, proof, now))
        EXPECT_TRUE(state.met) << state.name;
}

} // namespace
} // namespace tidemark::model
