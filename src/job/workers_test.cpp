#include "job/workers.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

TEST(WorkersTest, ThreadsAreBoundedOverAllMembers)
{
    EXPECT_EQ(workers_each(2, 3), 2U);
    EXPECT_EQ(workers_each(64, 1), 16U);
    EXPECT_EQ(workers_each(64, 4), 4U);
    EXPECT_EQ(workers_each(64, 100), 1U);
    EXPECT_EQ(workers_each(0, 0), 1U);
}

} // namespace
} // namespace tidemark::job
