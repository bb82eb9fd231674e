#include "app/cli/own_libraries.h"

#include "base/ci_testing.h"

#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(OwnLibrariesTest, ReadsWhatDpkgSays)
{
    EXPECT_THAT(packages_of("libfmt9:amd64: /usr/lib/x86_64-linux-gnu/libfmt.so.9\n"
                            "libdate-tz3: /usr/lib/libdate-tz.so.3\n"
                            "libfmt9:amd64: /usr/lib/x86_64-linux-gnu/libfmt.so.9.1\n"
                            "diversion by x from: /usr/lib/y\n"),
                ElementsAre("libdate-tz3", "libfmt9"));
    EXPECT_THAT(packages_of("no path found matching pattern /x\n"), IsEmpty());
}

TEST(OwnLibrariesTest, KnowsWhatThisProgramIsLinkedWith)
{
    auto own = own_libraries();
    EXPECT_THAT(own.names, testing::Contains(HasSubstr("libfmt.so.")));
    EXPECT_THAT(own.names, testing::Not(testing::Contains(HasSubstr("libc.so."))));
    const bool ready = std::filesystem::exists("/usr/bin/dpkg-query");
    ASSERT_TRUE(ready || !base::nothing_may_be_skipped()) << "no dpkg here";
    if (!ready) GTEST_SKIP() << "no dpkg here";
    EXPECT_THAT(own.packages, testing::Contains(testing::StartsWith("libfmt")));
}

} // namespace
} // namespace tidemark::app
