#include "job/host_locales.h"

#include <gmock/gmock.h>
#include <gnu/libc-version.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(HostLocalesTest, LocalesAreComparedBeforeTheServerRuns)
{
    EXPECT_THAT(foreseen_collations({}), IsEmpty());
    EXPECT_THAT(foreseen_collations({{"c:POSIX", ::gnu_get_libc_version()}, {"i:de", "153.112"}}),
                IsEmpty());
    EXPECT_THAT(foreseen_collations({{"c:POSIX", "2.1"}}), ElementsAre(HasSubstr("had 2.1")));
    EXPECT_THAT(foreseen_collations({{"c:xx_XX.utf8", ::gnu_get_libc_version()}}),
                ElementsAre(HasSubstr("xx_XX.utf8 is not installed")));
}

} // namespace
} // namespace tidemark::job
