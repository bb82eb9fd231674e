#include "app/cli/decisions.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

TEST(DecisionsTest, LinesAndComments)
{
    auto decisions = parse_decisions("# settled with accounting\n\norders tx-1 commit # seen\n"
                                     "stock\ttx-1\trollback\r\n",
                                     "d");
    EXPECT_EQ(decisions, (Decisions{{{"orders", "tx-1"}, true}, {{"stock", "tx-1"}, false}}));
}

TEST(DecisionsTest, AllMistakesAtOnce)
{
    try {
        parse_decisions("orders tx-1 comit\nstock tx-1 commit\nstock\nstock tx-2 commit now\n",
                        "d.txt");
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        std::string expected = "expected MEMBER GID commit|rollback (a GID with blanks, '#' or "
                               "quotes as a JSON string)";
        EXPECT_EQ(error.message(), "d.txt:1: " + expected +
                                       "\n"
                                       "d.txt:3: " +
                                       expected +
                                       "\n"
                                       "d.txt:4: " +
                                       expected);
    }
}

TEST(DecisionsTest, OneBranchHasOneVerdict)
{
    try {
        parse_decisions("a x commit\na x rollback\n", "d");
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_NE(error.message().find("d:2: decides the other way than d:1"), std::string::npos)
            << error.message();
    }
    EXPECT_EQ(parse_decisions("a x commit\na x commit\n", "d").size(), 1U);
}

TEST(DecisionsTest, GidsWithBlanksSignsAndForeignBytes)
{
    auto decisions = parse_decisions(R"(a "order #7" commit # seen
a x#1 rollback
a "gr\xfcn" commit
a "say \"\u00fc\"" rollback)",
                                     "d");
    EXPECT_EQ(decisions, (Decisions{{{"a", "order #7"}, true},
                                    {{"a", "x#1"}, false},
                                    {{"a", "gr\xFCn"}, true},
                                    {{"a", "say \"\xC3\xBC\""}, false}}));
    for (const char* wrong : {"a \"x commit\n", "a \"x\"commit\n", "a \"\\q\" commit\n"})
        EXPECT_THROW(parse_decisions(wrong, "d"), base::Error) << wrong;
}

} // namespace
} // namespace tidemark::app
