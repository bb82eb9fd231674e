#include "job/months_testing.h"

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

} // namespace
} // namespace tidemark::job
