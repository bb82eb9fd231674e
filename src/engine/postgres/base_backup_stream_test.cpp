#include "engine/postgres/base_backup_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The server is asked in kilobytes, and takes 32 to 1048576 of them.
TEST(BaseBackupCommandTest, TheServerIsToldTheRate)
{
    auto command = [](int version, std::uint64_t rate) {
        return base_backup_command(version, {.label = "x", .bytes_per_second = rate});
    };
    EXPECT_THAT(command(150018, 5U << 20), HasSubstr(" MAX_RATE 5120, "));
    EXPECT_THAT(command(130022, 5U << 20), HasSubstr(" MAX_RATE 5120 "));
    for (int version : {130022, 150018}) {
        EXPECT_THAT(command(version, 0), Not(HasSubstr("MAX_RATE"))) << version;
        EXPECT_THAT(command(version, 1), HasSubstr("MAX_RATE 32")) << version;
        EXPECT_THAT(command(version, std::uint64_t{1} << 40), HasSubstr("MAX_RATE 1048576"))
            << version;
    }
}

} // namespace
} // namespace tidemark::engine::postgres
