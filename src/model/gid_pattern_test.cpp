#include "model/gid_pattern.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tidemark::model {
namespace {

TEST(GidPatternTest, IdenticalIsTheDefault)
{
    EXPECT_EQ(GidPattern{}.global_id("order-1"), "order-1");
    EXPECT_EQ(GidPattern::parse("identical"), GidPattern{});
    EXPECT_TRUE(GidPattern::parse("identical").identical());
}

TEST(GidPatternTest, TheCaptureIsTheGlobalId)
{
    // Format id, global part and branch part, as the PostgreSQL JDBC driver and psycopg write them.
    auto pattern = GidPattern::parse("regex:(-?[0-9]+_[^_]+)_[^_]*");
    EXPECT_EQ(pattern.global_id("42_Z3RyaWQ=_YnF1YWwx"), "42_Z3RyaWQ=");
    EXPECT_EQ(pattern.global_id("42_Z3RyaWQ=_YnF1YWwy"), "42_Z3RyaWQ=");
    EXPECT_EQ(pattern.global_id("order-1"), std::nullopt);
    EXPECT_EQ(pattern.global_id("x42_Z3RyaWQ=_YnF1YWwy"), std::nullopt)
        << "must match the whole gid";
}

TEST(GidPatternTest, AnEmptyCaptureIsNoId)
{
    EXPECT_EQ(GidPattern::parse("regex:([0-9]*)x|y").global_id("y"), std::nullopt);
    EXPECT_EQ(GidPattern::parse("regex:([0-9]*)x|y").global_id("x"), std::nullopt);
}

TEST(GidPatternTest, MistakesAreRefusedWithTheText)
{
    for (const char* bad : {"", "same", "regex:", "regex:abc", "regex:(a)(b)", "regex:(a",
                            "regex:[", "regex:(a)\\1", "Identical"}) {
        try {
            GidPattern::parse(bad);
            ADD_FAILURE() << bad;
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::Code::usage) << bad;
            EXPECT_NE(error.message().find("gid_pattern"), std::string::npos);
            EXPECT_FALSE(error.hint().empty());
        }
    }
    EXPECT_THROW(GidPattern::parse("regex:(" + std::string(300, 'a') + ")"), base::Error);
}

TEST(GidPatternTest, HostileExpressionsStayFast)
{
    auto before = std::chrono::steady_clock::now();
    std::string gid(GidPattern::kMaxGid - 1, 'a');
    gid += '!';
    for (const char* text : {"regex:((?:a+)+)b", "regex:(.*.*.*.*.*)b", "regex:((?:a|a|aa)*)b"}) {
        EXPECT_EQ(GidPattern::parse(text).global_id(gid), std::nullopt);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{5});
    EXPECT_EQ(GidPattern::parse("regex:(a*)").global_id(std::string(5'000'000, 'a')), std::nullopt);
}

} // namespace
} // namespace tidemark::model
