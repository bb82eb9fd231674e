#include "model/log_position.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

TEST(Offset, IsWrittenAsPostgresqlDoes)
{
    EXPECT_EQ(format_offset(0x16B374D848), "16/B374D848");
    EXPECT_EQ(format_offset(0x3000000), "0/3000000");
    EXPECT_EQ(format_offset(0), "0/0");
    EXPECT_EQ(format_offset(~Offset{0}), "FFFFFFFF/FFFFFFFF");
}

TEST(Offset, IsReadBack)
{
    for (Offset offset : {Offset{0}, Offset{0x28}, Offset{0x16B374D848}, ~Offset{0}})
        EXPECT_EQ(parse_offset(format_offset(offset)), offset);
    EXPECT_EQ(parse_offset("0/0b374d848"), std::nullopt) << "nine digits do not fit";
    EXPECT_EQ(parse_offset("16/b374d848"), 0x16B374D848);
    EXPECT_EQ(parse_offset("0/03000000"), 0x3000000) << "PostgreSQL 19 pads";
}

TEST(Offset, RefusesWhatIsNotOne)
{
    for (std::string_view text : {"", "/", "1", "1/", "/1", "1/2/3", " 1/2", "1/2 ", "-1/2", "1/+2",
                                  "0x1/2", "100000000/0", "G/0"})
        EXPECT_EQ(parse_offset(text), std::nullopt) << text;
}

TEST(Position, NamesTheEpochOnlyWhenItIsNotTheFirst)
{
    EXPECT_EQ(format_position({1, 0x3000000}), "0/3000000");
    EXPECT_EQ(format_position({3, 0x16B374D848}), "16/B374D848@3");
    EXPECT_EQ(parse_position("0/3000000"), (LogPosition{1, 0x3000000}));
    EXPECT_EQ(parse_position("16/B374D848@3"), (LogPosition{3, 0x16B374D848}));
    for (std::string_view text :
         {"0/1@", "0/1@0", "0/1@x", "0/1@3@4", "@3", "0/1@-1", "0/1@4294967296"})
        EXPECT_EQ(parse_position(text), std::nullopt) << text;
}

/// 1 until 0/3000000, then 2 until 0/5000000, then 4.
History three_branches()
{
    return History(4, {{.epoch = 1, .left_at = 0x3000000}, {.epoch = 2, .left_at = 0x5000000}});
}

TEST(History, ContainsOnlyItsOwnBranches)
{
    History history = three_branches();
    EXPECT_TRUE(history.contains({1, 0x3000000})) << "the end of a branch is on it";
    EXPECT_TRUE(history.contains({2, 0x3000000})) << "and so is the beginning of the next";
    EXPECT_TRUE(history.contains({4, 0x5000000}));
    EXPECT_FALSE(history.contains({1, 0x3000001})) << "an abandoned tail";
    EXPECT_FALSE(history.contains({2, 0x2FFFFFF})) << "before its branch began";
    EXPECT_FALSE(history.contains({2, 0x5000001}));
    EXPECT_FALSE(history.contains({3, 0x4000000})) << "another branch";
    EXPECT_FALSE(history.contains({4, 0x4FFFFFF}));
    EXPECT_FALSE(history.contains({5, 0x6000000}));
}

// rule 13
TEST(History, OrdersPositionsOfItsOwnOnly)
{
    History history = three_branches();
    EXPECT_TRUE(history.order({1, 5}, {1, 6}) < 0);
    EXPECT_TRUE(history.order({4, 0x5000000}, {1, 6}) > 0);
    EXPECT_TRUE(history.order({1, 0x3000000}, {2, 0x3000000}) == 0) << "the same point";
    try {
        history.order({1, 5}, {1, 0x3000010});
        FAIL() << "an abandoned position was ordered";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::identity_mismatch);
    }
}

TEST(History, TellsWhichEpochHoldsAByte)
{
    History history = three_branches();
    EXPECT_EQ(history.epoch_at(0), 1U);
    EXPECT_EQ(history.epoch_at(0x2FFFFFF), 1U);
    EXPECT_EQ(history.epoch_at(0x3000000), 2U);
    EXPECT_EQ(history.epoch_at(0x5000000), 4U);
    EXPECT_EQ(History().epoch_at(77), 1U);
}

TEST(History, RefusesDisorder)
{
    EXPECT_THROW(History(1, {{.epoch = 1, .left_at = 1}}), base::Error);
    EXPECT_THROW(History(3, {{.epoch = 2, .left_at = 1}, {.epoch = 1, .left_at = 2}}), base::Error);
    EXPECT_THROW(History(3, {{.epoch = 1, .left_at = 2}, {.epoch = 2, .left_at = 1}}), base::Error);
}

TEST(HistoryFile, IsParsedAsPostgresqlWritesIt)
{
    History history = parse_history(4, "1\t0/3000000\tno recovery target specified\n\n"
                                       "# a comment\r\n"
                                       "  2\t0/5000000\tafter LSN 0/4FFFFD8\n");
    EXPECT_EQ(history, three_branches());
    EXPECT_EQ(parse_history(4, "1 0/3000000\n2 0/5000000"), three_branches())
        << "neither a reason nor the last newline is required";
    EXPECT_EQ(parse_history(1, ""), History(1));
}

TEST(HistoryFile, RefusesAnythingElse)
{
    for (std::string_view text : {"x\t0/1\n", "1\n", "1\t3000000\n", "1\t0/1x\n", "-1\t0/1\n",
                                  "4\t0/1\treason\n", "2\t0/5\n1\t0/6\n", "1x\t0/1\n"}) {
        EXPECT_THROW(parse_history(4, text), base::Error) << text;
    }
}

} // namespace
} // namespace tidemark::model
