#include "model/rhythm.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using namespace std::chrono_literals;

/// Begun at `distance`, newest last.
std::vector<base::Time> every(base::Duration distance, int count)
{
    std::vector<base::Time> out;
    for (int i = 0; i < count; ++i)
        out.push_back(*base::parse_time("2026-11-22T12:00:00Z") + i * distance);
    return out;
}

TEST(RhythmTest, IsThreeTimesTheUsualDistance)
{
    EXPECT_EQ(usual_patience(every(24h, 16)), base::Duration{72h});
    EXPECT_EQ(usual_patience(every(1h, 4)), base::Duration{3h});
    EXPECT_EQ(usual_patience(every(1min, 16)), base::Duration{1h}) << "no alarm within an hour";
}

TEST(RhythmTest, IsADayWhileItIsNotKnown)
{
    EXPECT_EQ(usual_patience({}), base::Duration{24h});
    EXPECT_EQ(usual_patience(every(7 * 24h, 3)), base::Duration{24h});
}

TEST(RhythmTest, NeitherABurstNorAPauseChangesIt)
{
    auto starts = every(24h, 10);
    for (int i = 1; i < 6; ++i)
        starts.push_back(starts[9] + i * 1min);
    EXPECT_EQ(usual_patience(starts), base::Duration{72h});
    starts = every(1h, 12);
    starts.push_back(starts.back() + 30 * 24h);
    EXPECT_EQ(usual_patience(starts), base::Duration{3h});
}

} // namespace
} // namespace tidemark::model
