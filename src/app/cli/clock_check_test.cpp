#include "app/cli/clock_check.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;

TEST(ClockCheckTest, ClocksThatAreFarApartWait)
{
    auto apart = compare_clocks({-500ms, std::nullopt, 1500ms, 100ms});
    ASSERT_TRUE(apart);
    EXPECT_EQ(apart->name, "clocks");
    EXPECT_EQ(apart->state, engine::CheckState::waiting);
    EXPECT_NE(apart->cause.find("2000.0 ms apart"), std::string::npos) << apart->cause;
    EXPECT_NE(apart->fix.find("chrony"), std::string::npos) << apart->fix;
}

TEST(ClockCheckTest, ThatOursIsWrongIsNoMatterOfTheMembers)
{
    auto together = compare_clocks({7200s, 7200s + 1000ms});
    ASSERT_TRUE(together);
    EXPECT_EQ(together->state, engine::CheckState::ok);
    EXPECT_TRUE(together->fix.empty());
    EXPECT_FALSE(compare_clocks({std::nullopt}));
    EXPECT_FALSE(compare_clocks({}));
}

} // namespace
} // namespace tidemark::app
