#include "base/log.h"

#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace tidemark::base {
namespace {

class LogTest : public testing::Test {
protected:
    void capture(LogLevel level, LogFormat format)
    {
        log_setup({level, format, [this](std::string_view line) { lines_.emplace_back(line); }});
    }
    void TearDown() override { log_setup({}); }

    std::vector<std::string> lines_;
};

TEST_F(LogTest, LevelsAreHeld)
{
    capture(LogLevel::warning, LogFormat::text);
    log_info("not {}", "shown");
    log_warning("shown {}", 1);
    log_error("shown {}", 2);
    ASSERT_EQ(lines_.size(), 2U);
    EXPECT_TRUE(lines_[0].ends_with(" warning shown 1")) << lines_[0];
    EXPECT_FALSE(log_enabled(LogLevel::info));
    EXPECT_TRUE(log_enabled(LogLevel::error));
}

TEST_F(LogTest, JsonIsOneObjectPerLine)
{
    capture(LogLevel::debug, LogFormat::json);
    log_debug("a \"quoted\" back\\slash\nand line");
    ASSERT_EQ(lines_.size(), 1U);
    EXPECT_TRUE(lines_[0].starts_with(R"({"time":")"));
    EXPECT_TRUE(
        lines_[0].ends_with(R"("level":"debug","message":"a \"quoted\" back\\slash\\nand line"})"))
        << lines_[0];
}

TEST_F(LogTest, HostileNamesCannotForgeLinesOrSteerATerminal)
{
    capture(LogLevel::info, LogFormat::text);
    log_info("database {}", "x\x1b[2J\x1b]0;owned\x07\n2026-01-01 error all is lost\r");
    ASSERT_EQ(lines_.size(), 1U);
    for (char c : lines_[0])
        EXPECT_GE(c, 0x20);
    EXPECT_NE(lines_[0].find(R"(x\x1b[2J\x1b]0;owned\x07\n2026)"), std::string::npos);
}

TEST_F(LogTest, PercentAndBracesInMessagesAreText)
{
    capture(LogLevel::info, LogFormat::text);
    log_message(LogLevel::info, "{} %v %s {:d}");
    EXPECT_TRUE(lines_.at(0).ends_with("{} %v %s {:d}"));
}

TEST_F(LogTest, ThreadsDoNotMixLines)
{
    capture(LogLevel::info, LogFormat::text);
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([] {
                for (int n = 0; n < 100; ++n)
                    log_info("same");
            });
        }
    }
    EXPECT_EQ(lines_.size(), 400U);
}

TEST(EscapeControlsTest, KeepsPeoplesLanguages)
{
    EXPECT_EQ(escape_controls("Größe 表 \U0001F600 \\ \""), "Größe 表 \U0001F600 \\ \"");
}

TEST(EscapeControlsTest, EscapesWhatSteersOrIsBroken)
{
    EXPECT_EQ(escape_controls(std::string_view("a\0b\x7f", 4)), R"(a\x00b\x7f)");
    EXPECT_EQ(escape_controls("\xc2\x9b"
                              "31m"),
              R"(\u{9b}31m)")
        << "C1 CSI";
    EXPECT_EQ(escape_controls("\u202e\u2028\u2066"), R"(\u{202e}\u{2028}\u{2066})");
    EXPECT_EQ(escape_controls("\xff\xc3"), R"(\xff\xc3)");
    EXPECT_EQ(escape_controls("\xc0\xaf"), R"(\xc0\xaf)") << "overlong";
    EXPECT_EQ(escape_controls("\xed\xa0\x80"), R"(\xed\xa0\x80)") << "surrogate";
    EXPECT_EQ(escape_controls("\xf4\x90\x80\x80"), R"(\xf4\x90\x80\x80)") << "above U+10FFFF";
}

} // namespace
} // namespace tidemark::base
