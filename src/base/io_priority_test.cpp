#include "base/io_priority.h"

#include <gtest/gtest.h>
#include <string>
#include <thread>

namespace tidemark::base {
namespace {

TEST(IoPriority, OneThreadStepsBackAlone)
{
    std::string mine;
    std::thread([&] {
        lower_io_priority();
        mine = io_priority();
    }).join();
    EXPECT_EQ(mine, "be/7");
    EXPECT_STREQ(io_priority(), "none");
}

} // namespace
} // namespace tidemark::base
