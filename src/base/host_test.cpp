#include "base/host.h"

#include <gtest/gtest.h>

namespace tidemark::base {
namespace {

TEST(HostTest, SocketsLoopbackAndOurOwnNameAreThisHost)
{
    for (const char* here : {"", "/run/postgresql", "@tidemark", "localhost", "LocalHost",
                             "127.0.0.1", "127.0.1.1", "127.1", "::1"})
        EXPECT_TRUE(names_this_host(here)) << here;
    EXPECT_TRUE(names_this_host(host_name())) << host_name();
    for (const char* elsewhere : {"db1.invalid", "10.0.0.1", "127.example.invalid", "2001:db8::1",
                                  "localhost.example.invalid", "?"})
        EXPECT_FALSE(names_this_host(elsewhere)) << elsewhere;
}

} // namespace
} // namespace tidemark::base
