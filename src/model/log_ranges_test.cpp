#include "model/log_ranges.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

TEST(LogRangesTest, MergeAndSubtract)
{
    auto range = [](Epoch epoch, Offset from, Offset to) { return LogRange{epoch, from, to}; };
    EXPECT_EQ(merge_ranges({range(1, 5, 9), range(1, 0, 5), range(2, 5, 6), range(1, 20, 20)}),
              (std::vector<LogRange>{range(1, 0, 9), range(2, 5, 6)}));
    EXPECT_EQ(subtract_ranges({range(1, 0, 100), range(2, 0, 10)},
                              {range(1, 10, 20), range(1, 90, 200), range(2, 0, 10)}),
              (std::vector<LogRange>{range(1, 0, 10), range(1, 20, 90)}));
}

} // namespace
} // namespace tidemark::model
