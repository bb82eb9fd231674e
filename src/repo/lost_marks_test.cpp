#include "repo/lost_marks.h"

#include "repo/layout.h"
#include "repo/little_group.h"
#include "repo/tombstones.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::LittleGroup;
using ::testing::StartsWith;

class LostMarksTest : public ::testing::Test {
protected:
    LostMarksTest()
    {
        group.full();
        for (int i = 0; i < 3; ++i)
            group.log();
    }
    std::vector<LostMark> lost(const MarkSpan& span = {})
    {
        return lost_marks(t.storage, load_view(t.storage, "shop"), span);
    }
    std::vector<model::Number> numbers(const MarkSpan& span = {})
    {
        std::vector<model::Number> out;
        for (const LostMark& mark : lost(span))
            out.push_back(mark.number);
        return out;
    }
    void lose(model::Number number) { t.storage.remove(mark_key("shop", number)); }
    void damage(model::Number number)
    {
        lose(number);
        store::put(t.storage, mark_key("shop", number), base::as_bytes("{}"));
    }

    testing::TestStore t;
    LittleGroup group{t.storage, t.clock};
};

TEST_F(LostMarksTest, TheNewestThatCannotBeReadIsTold)
{
    EXPECT_THAT(lost(), IsEmpty());
    damage(4);
    ASSERT_THAT(numbers(), ElementsAre(4U));
    EXPECT_EQ(lost().front().key, mark_key("shop", 4));
    EXPECT_THAT(lost().front().why, StartsWith("damaged: "));
}

TEST_F(LostMarksTest, TheNewestThatIsGoneIsToldByItsSet)
{
    lose(4);
    ASSERT_THAT(numbers(), ElementsAre(4U));
    EXPECT_EQ(lost().front().why, "is missing");
    t.storage.remove(set_key("shop", 4));
    EXPECT_THAT(numbers(), IsEmpty()); // only a memory outside knows of it
}

TEST_F(LostMarksTest, OnlyThoseOfTheSpanAreTold)
{
    lose(2);
    damage(3);
    EXPECT_THAT(numbers(), ElementsAre(2U, 3U));
    EXPECT_THAT(numbers({.after = 2}), ElementsAre(3U));
    EXPECT_THAT(numbers({.after = 1, .before = 3}), ElementsAre(2U));
    EXPECT_THAT(numbers({.after = 3}), IsEmpty());
}

TEST_F(LostMarksTest, WhatRetentionRemovedIsNotLost)
{
    auto lease = testing::take(t.storage, "expire");
    model::Tombstone gone{.group = "shop"};
    gone.gone["marks"] = {{.first = 2, .last = 3}};
    Tombstones(t.storage, "shop").append(*lease, gone);
    lose(2);
    lose(3);
    lose(4);
    EXPECT_THAT(numbers(), ElementsAre(4U));
}

} // namespace
} // namespace tidemark::repo
