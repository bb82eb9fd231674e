#include "store/key.h"

#include "base/error.h"

#include <gtest/gtest.h>
#include <string>

namespace tidemark::store {
namespace {

TEST(KeyTest, GoodKeys)
{
    for (std::string_view key : {"a", "tidemark.json", "groups/G/members/M/log/1/0-100.idx", "...",
                                 ".a", "a/..b", "A=b+c@d_e-f"}) {
        EXPECT_TRUE(valid_key(key)) << key;
        for (std::size_t i = 0; i <= key.size(); ++i) {
            EXPECT_TRUE(valid_prefix(key.substr(0, i))) << key.substr(0, i);
        }
    }
}

TEST(KeyTest, BadKeys)
{
    for (std::string_view key : {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b",
                                 "a b", "a:b", "a~", ".tmp~", "a\\b", "a*", "\xc3\xa4", "a\nb"}) {
        EXPECT_FALSE(valid_key(key)) << key;
    }
    EXPECT_FALSE(valid_key(std::string_view("a\0b", 3)));
}

TEST(KeyTest, Lengths)
{
    std::string part(255, 'x');
    EXPECT_TRUE(valid_key(part));
    EXPECT_FALSE(valid_key(part + "x"));
    std::string longest = part + "/" + part + "/" + part + "/" + part;
    EXPECT_EQ(longest.size(), 1023U);
    EXPECT_TRUE(valid_key(longest));
    EXPECT_FALSE(valid_key(longest + "/x"));
}

TEST(KeyTest, BadPrefixes)
{
    for (std::string_view prefix : {"/", "//", "a//", "../", "./a", "a/../", "a b", "a\n"}) {
        EXPECT_FALSE(valid_prefix(prefix)) << prefix;
    }
}

TEST(KeyTest, ErrorsShowTheKeyHarmlessly)
{
    try {
        require_key("a\x1b[2Jb");
        FAIL() << "accepted";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_EQ(error.message(), R"("a\x1b[2Jb" is no valid name of a repository object)");
    }
}

} // namespace
} // namespace tidemark::store
