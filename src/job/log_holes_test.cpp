// rule 13, 14: log that a mark's proof wants and that is not there

#include "job/log_holes.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

struct Known {
    Known()
    {
        recorded.log_start = {1, 1000};
        member.log.name = "a";
        table.members["a"] = {.epoch = 1,
                              .b = 4000,
                              .r = 4100,
                              .e = 4200,
                              .complete_from = {},
                              .clock = {},
                              .gid_pattern = "identical"};
    }
    std::vector<model::UnreadLog> gone(model::Offset stored_from, bool after_a_mark)
    {
        member.log.complete_since = stored_from;
        return gone_log(recorded, after_a_mark ? &table : nullptr, member);
    }

    model::MemberIdentity recorded;
    model::OpenTransactions table;
    model::CutMember member;
};

TEST(LogHolesTest, NothingIsGoneOfAChainThatIsStoredFromItsStart)
{
    Known known;
    EXPECT_TRUE(known.gone(1000, false).empty());
    EXPECT_TRUE(known.gone(1000, true).empty());
}

TEST(LogHolesTest, WhatTheMarkBeforeKnowsMayBeGone)
{
    Known known;
    EXPECT_TRUE(known.gone(4200, true).empty());
    ASSERT_EQ(known.gone(4200, false).size(), 1U);
    EXPECT_EQ(known.gone(4200, false)[0].from, 1000U);
    EXPECT_EQ(known.gone(4200, false)[0].to, 4200U);
}

TEST(LogHolesTest, ANewChainHasItsOwnList)
{
    Known known;
    known.recorded.log_start = {1, 8000};
    EXPECT_TRUE(known.gone(8000, true).empty());
    ASSERT_EQ(known.gone(9000, true).size(), 1U);
    EXPECT_EQ(known.gone(9000, true)[0].from, 8000U);
}

TEST(LogHolesTest, AskedForOnceAHoleIsFoundBelowTheMark)
{
    Known known;
    LogHoles holes(1);
    Placement::Member placed{.before = 0, .b = 5000, .r_end = 5200, .e = 5200, .clock = {}};
    known.member.log.complete_since = 4300;
    holes.take(0, placed, known.member, known.gone(4300, true));
    ASSERT_EQ(holes.unlisted(), 0U);
    EXPECT_EQ(holes.of(0).size(), 1U);
    // One that lies behind the mark is the next one's.
    holes.take(0, placed, known.member, {{.from = 6000, .to = 7000, .why = "later"}});
    EXPECT_FALSE(holes.unlisted());
    EXPECT_THROW(holes.take(0, placed, known.member, {{.from = 4900, .to = 5100, .why = "?"}}),
                 base::Error);
}

} // namespace
} // namespace tidemark::job
