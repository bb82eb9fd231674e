#include "model/gid_text.h"

#include <gtest/gtest.h>
#include <random>

namespace tidemark::model {
namespace {

std::optional<std::string> read(std::string_view text)
{
    auto out = take_gid_word(text);
    return text.empty() ? out : std::nullopt;
}

TEST(GidTextTest, PlainGidsAreBare)
{
    EXPECT_EQ(gid_word("order-4711"), "order-4711");
    EXPECT_EQ(gid_word("gr\xC3\xBCn"), "gr\xC3\xBCn");
}

TEST(GidTextTest, OthersAreQuoted)
{
    EXPECT_EQ(gid_word("a b"), "\"a b\"");
    EXPECT_EQ(gid_word("a#b"), "\"a#b\"");
    EXPECT_EQ(gid_word("gr\xFCn"), "\"gr\\xfcn\"");
    EXPECT_EQ(gid_word("\\x"), "\"\\\\x\"");
    EXPECT_EQ(gid_word(""), "\"\"");
    EXPECT_EQ(gid_word("a\nb"), "\"a\\u000ab\"");
}

TEST(GidTextTest, WhatJsonEncodersWriteIsRead)
{
    EXPECT_EQ(read(R"("a\"\\\/\n\t\u00fc\ud83d\ude00")"), "a\"\\/\n\t\xC3\xBC\xF0\x9F\x98\x80");
    for (const char* wrong :
         {"\"open", "\"\\q\"", "\"\\x4\"", "\"\\ud83d\"", "\"\\udc00\"", "", "#x", "\"\\u12\""})
        EXPECT_FALSE(read(wrong)) << wrong;
}

TEST(GidTextTest, EveryGidComesBack)
{
    std::mt19937 random(7);
    for (int round = 0; round < 5000; ++round) {
        std::string gid(random() % 12U, ' ');
        for (char& c : gid)
            c = static_cast<char>(random() % 3U == 0 ? random() : 32 + random() % 95U);
        auto word = gid_word(gid);
        EXPECT_TRUE(is_utf8(word));
        EXPECT_EQ(word.find('\n'), word.npos);
        EXPECT_EQ(read(word), gid) << word;
        std::string line = word + " commit";
        std::string_view rest = line;
        EXPECT_EQ(take_gid_word(rest), gid);
        EXPECT_EQ(rest, " commit");
    }
}

} // namespace
} // namespace tidemark::model
