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
        EXPECT_EQ(error.message(), "d.txt:1: expected MEMBER GID commit|rollback\n"
                                   "d.txt:3: expected MEMBER GID commit|rollback\n"
                                   "d.txt:4: expected MEMBER GID commit|rollback");
    }
}

TEST(DecisionsTest, OneBranchHasOneVerdict)
{
    EXPECT_THROW(parse_decisions("a x commit\na x rollback\n", "d"), base::Error);
    EXPECT_EQ(parse_decisions("a x commit\na x commit\n", "d").size(), 1U);
}

} // namespace
} // namespace tidemark::app
