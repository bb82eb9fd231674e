#include "job/months_testing.h"

#include <algorithm>

namespace tidemark::job {
namespace {

// rule 36
TEST(MonthsTest, FrequentMarksDoNotDrownTheStore)
{
    SimulatedMonths group(std::chrono::minutes{10});
    group.spec().keep_days = 4;
    std::size_t most = 0;
    for (int day = 0; day < 7; ++day)
        group.live_a_day();
    std::size_t settled = group.objects();
    for (int day = 0; day < 2; ++day) {
        group.live_a_day();
        most = std::max(most, group.objects());
    }
    // 144 marks a day; without retention there would be 11,700 objects by now.
    EXPECT_LT(most, 6'000U);
    EXPECT_LT(most, settled + settled / 10);
    auto view = repo::load_view(group.storage(), "shop");
    ASSERT_TRUE(repo::newest_restorable(view).has_value());
    EXPECT_EQ(*repo::newest_restorable(view), view.marks.front().number());
    for (const auto& mark : view.marks)
        if (mark.value.created > group.storage().now() - std::chrono::hours{24 * 3}) {
            EXPECT_TRUE(repo::plan_restore(view, mark.number()).plan.has_value())
                << "m-" << mark.number();
        }
}

struct SteadyState {
    double most = 0;   ///< objects of one day, with those that retention removes at its end
    double growth = 0; ///< objects of the last day
};

SteadyState live_until_steady(base::Duration mark_every, int keep_days)
{
    SimulatedMonths group(mark_every);
    group.spec().keep_days = keep_days;
    SteadyState out;
    double before = 0;
    for (int day = 0; day < keep_days + 2; ++day) {
        group.live_a_day();
        auto now = static_cast<double>(group.objects());
        out.most = std::max(out.most, now + static_cast<double>(group.last().removed));
        out.growth = now - before;
        before = now;
    }
    return out;
}

// rule 36. A year of a mark every 30 seconds was simulated by hand: at most 70,908 objects
// (docs/support.md; tidemark_bench_months 365 30). What four small groups tell about that one comes
// within a hundredth of it, so whatever would drown a store in a year fails here within seconds.
TEST(MonthsTest, AYearOfFrequentMarksStaysBelowAHundredThousandObjects)
{
    constexpr double kFew = 48;
    constexpr double kMany = 96; // marks a day
    constexpr double kDays = 3;  // that are kept
    const auto few = live_until_steady(std::chrono::minutes{30}, 3);
    const auto many = live_until_steady(std::chrono::minutes{15}, 3);
    const auto longer = live_until_steady(std::chrono::minutes{30}, 4);
    const auto both = live_until_steady(std::chrono::minutes{15}, 4);
    for (const auto& state : {few, many, longer, both})
        EXPECT_LT(state.growth, 10) << "a day brings more than retention takes";

    const double marks = 24 * 60 * 2 - kFew;
    const double days = model::GroupSpec{}.keep_days - kDays;
    const double per_mark = (many.most - few.most) / (kMany - kFew);
    const double per_day = longer.most - few.most;
    const double per_mark_and_day =
        (both.most - longer.most - many.most + few.most) / (kMany - kFew);
    const double year =
        few.most + per_mark * marks + per_day * days + per_mark_and_day * marks * days;
    EXPECT_LT(year, 100'000);
    EXPECT_GT(year, 10'000) << "this is no such group any more";
}

} // namespace
} // namespace tidemark::job
