#include "app/cli/console_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kMegabyte = 1U << 20;
constexpr const char* kUp = "\x1b[1A\x1b[2K";

class ConsoleProgressTest : public testing::Test {
protected:
    ConsoleProgress::Outside outside()
    {
        return {.now = [this] { return now_; },
                .write = [this](std::string_view text) { text_ += text; }};
    }
    /// What is written when it is that late.
    std::string at(ConsoleProgress& progress, std::chrono::milliseconds since_start)
    {
        now_ = start_ + since_start;
        text_.clear();
        progress.tick();
        return text_;
    }

    std::chrono::steady_clock::time_point start_{1000s};
    std::chrono::steady_clock::time_point now_ = start_;
    std::string text_;
};

TEST_F(ConsoleProgressTest, WorkOfLessThanTwoSecondsShowsNothing)
{
    for (bool terminal : {false, true}) {
        now_ = start_;
        ConsoleProgress progress({.terminal = terminal}, outside());
        progress.stage("orders", "copy", kMegabyte);
        EXPECT_EQ(at(progress, 0ms), "");
        EXPECT_EQ(at(progress, 1999ms), "");
        EXPECT_THAT(at(progress, 2000ms), HasSubstr("orders"));
        text_.clear();
        progress.close();
        EXPECT_EQ(text_, terminal ? kUp : "");
    }
}

TEST_F(ConsoleProgressTest, ElsewhereALineForEachMemberEveryFiveSeconds)
{
    ConsoleProgress progress({}, outside());
    progress.stage("billing", "copy", 0);
    progress.stage("orders", "copy", 4 * kMegabyte);
    EXPECT_EQ(at(progress, 2000ms), "billing      copy              \n"
                                    "orders       copy               0 B of 4.0 MiB (0 %)\n");
    EXPECT_EQ(at(progress, 6999ms), "");
    progress.finished("billing");
    EXPECT_EQ(at(progress, 7000ms), "orders       copy               0 B of 4.0 MiB (0 %)\n");
    EXPECT_EQ(at(progress, 11999ms), "");
    EXPECT_NE(at(progress, 12000ms), "");
}

TEST_F(ConsoleProgressTest, OnATerminalTheBlockIsDrawnOverItself)
{
    ConsoleProgress progress({.terminal = true}, outside());
    progress.stage("billing", "copy", kMegabyte);
    progress.stage("orders", "copy", kMegabyte);
    EXPECT_THAT(at(progress, 2000ms), Not(HasSubstr("\x1b")));
    EXPECT_EQ(at(progress, 2249ms), "");
    progress.finished("billing");
    auto block = at(progress, 2250ms);
    EXPECT_THAT(block, testing::StartsWith(std::string(kUp) + kUp + "billing"));
    EXPECT_THAT(block, HasSubstr("billing      copy               done\n"));
    EXPECT_THAT(block, HasSubstr("orders       copy               0 B of 1.0 MiB (0 %)\n"));
    // A line that stays is written where the block was; the block comes back below it.
    text_.clear();
    progress.note("slot made");
    EXPECT_EQ(text_, std::string(kUp) + kUp + "slot made\n");
    EXPECT_THAT(at(progress, 2500ms), testing::StartsWith("billing"));
}

TEST_F(ConsoleProgressTest, SaysHowMuchHowFastAndHowLong)
{
    ConsoleProgress progress({}, outside());
    now_ = start_ + 10s;
    progress.stage("orders", "copy", 400 * kMegabyte);
    progress.stage("stock", "decode", 0);
    now_ = start_ + 15s;
    progress.advance("orders", 100 * kMegabyte);
    progress.advance("orders", 90 * kMegabyte); // told late by another thread
    progress.advance("stock", 50 * kMegabyte);
    auto lines = at(progress, 20s);
    EXPECT_THAT(lines, HasSubstr("orders       copy               100 MiB of 400 MiB (25 %), "
                                 "10 MiB/s, 30 s left\n"));
    EXPECT_THAT(lines, HasSubstr("stock        decode             50 MiB, 5.0 MiB/s\n"));
    // Another stage begins anew.
    progress.stage("orders", "log", 10 * kMegabyte);
    EXPECT_THAT(at(progress, 25s),
                HasSubstr("orders       log                0 B of 10 MiB (0 %)"));
}

TEST_F(ConsoleProgressTest, WhatStandsStillSaysSoUnlessItWaits)
{
    ConsoleProgress progress({}, outside());
    progress.stage("orders", "copy", 400 * kMegabyte);
    progress.stage("stock", "wait for the others", 0);
    now_ = start_ + 10s;
    progress.advance("orders", kMegabyte);
    EXPECT_THAT(at(progress, 70s), Not(HasSubstr("no movement")));
    auto lines = at(progress, 75s);
    EXPECT_THAT(lines, HasSubstr(", no movement for 1 min 5 s\nstock"));
    EXPECT_THAT(lines, HasSubstr("wait for the others\n"));
    progress.advance("orders", 2 * kMegabyte);
    EXPECT_THAT(at(progress, 80s), Not(HasSubstr("no movement")));
}

TEST_F(ConsoleProgressTest, QuietKeepsWarningsOnly)
{
    ConsoleProgress progress({.terminal = true, .quiet = true}, outside());
    progress.stage("orders", "copy", kMegabyte);
    progress.note("slot made");
    EXPECT_EQ(at(progress, 10s), "");
    progress.warn("a page\x1b is damaged");
    EXPECT_EQ(text_, "warning: a page\\x1b is damaged\n");
    EXPECT_EQ(progress.warnings(), std::vector<std::string>{"a page\x1b is damaged"});
}

TEST_F(ConsoleProgressTest, NothingMovesWithoutATerminalOrWithNoColor)
{
    EXPECT_TRUE(may_draw_live(true, nullptr));
    EXPECT_TRUE(may_draw_live(true, ""));
    EXPECT_FALSE(may_draw_live(true, "1"));
    EXPECT_FALSE(may_draw_live(false, nullptr));
}

} // namespace
} // namespace tidemark::app
