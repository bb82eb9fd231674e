// A damaged history file of a timeline: the server still has it, so work goes on and it is mended;
// without the server what needs it cannot be restored, and what does not, can.

#include "job/mark.h"
#include "job/status.h"
#include "job/world_testing.h"
#include "repo/histories.h"
#include "repo/layout.h"

#include <algorithm>
#include <gmock/gmock.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::Contains;
using testing::HasSubstr;

/// Member a was failed over to timeline 2 between two marks, and its history is damaged since.
class HistoryDamageTest : public testing::Test {
protected:
    HistoryDamageTest()
    {
        before_ = place_mark(world_.context(), {}).mark.number();
        world_.work();
        world_.server(0).promote();
        world_.work();
        after_ = place_mark(world_.context(), {}).mark.number();
        world_.work();
        damage();
    }

    void damage()
    {
        auto key = repo::history_key(id_, 2);
        auto bytes = store::get(world_.storage(), key, 1U << 20);
        ASSERT_TRUE(bytes);
        (*bytes)[bytes->size() / 2] ^= std::byte{1};
        world_.storage().remove(key);
        ASSERT_EQ(store::put(world_.storage(), key, *bytes), store::Created::yes);
        ASSERT_TRUE(repo::history_is_damaged(world_.storage(), id_, 2));
    }
    /// Messages of earlier steps.
    std::size_t told() const { return world_.progress().warnings().size(); }

    World world_;
    model::MemberId id_{"shop", "a"};
    model::Number before_ = 0;
    model::Number after_ = 0;
};

// rule 13, 14
TEST_F(HistoryDamageTest, MarksGoOnAndMendIt)
{
    auto mark = place_mark(world_.context(), {}).mark;
    EXPECT_EQ(mark.value.members[0].history.current(), 2U);
    EXPECT_THAT(world_.progress().warnings(), Contains(HasSubstr(repo::history_key(id_, 2))));
    EXPECT_FALSE(repo::history_is_damaged(world_.storage(), id_, 2));
    world_.check_whole();
    EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
    auto before = told();
    place_mark(world_.context(), {});
    EXPECT_EQ(told(), before) << "mended for good";
}

// rule 13, 14
TEST_F(HistoryDamageTest, LogAndFullBackupsGoOn)
{
    back_up_group(world_.context(), {});
    world_.check_whole();
    world_.work();
    damage();
    back_up_log(world_.context());
    world_.check_whole();
}

// rule 13, 14
TEST_F(HistoryDamageTest, TheNextTimelineIsFollowed)
{
    world_.server(0).promote();
    world_.work();
    auto mark = place_mark(world_.context(), {}).mark;
    EXPECT_EQ(mark.value.members[0].history.current(), 3U);
    world_.check_whole();
    EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
}

// rule 13
TEST_F(HistoryDamageTest, AnotherServersHistoryIsNeverStoredInItsPlace)
{
    auto other = world_.engine().add_server(
        {.name = "a", .system_id = "70000000000000000a", .clock = &world_.clock()});
    connect(world_.context(), world_.group().members[0])->create_slot();
    other->noise(2000);
    other->promote();
    other->noise(600'000);
    try {
        place_mark(world_.context(), {});
        ADD_FAILURE() << "the mark was placed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::identity_mismatch) << error.what();
    }
    EXPECT_TRUE(repo::history_is_damaged(world_.storage(), id_, 2));
}

TEST_F(HistoryDamageTest, WithoutTheServerWhatDoesNotNeedItIsRestorable)
{
    auto view = world_.view();
    EXPECT_EQ(view.unreadable.count(repo::history_key(id_, 2)), 1U);
    EXPECT_EQ(repo::newest_restorable(view), before_);
    auto result = repo::plan_restore(view, after_);
    ASSERT_FALSE(result.plan);
    ASSERT_FALSE(result.obstacles.empty());
    EXPECT_EQ(result.obstacles[0].kind, repo::ObstacleKind::missing_history);
    EXPECT_EQ(result.obstacles[0].member, "a");
    EXPECT_EQ(result.before, before_);
    auto status = read_status(world_.context(), view, {.ask_members = false});
    EXPECT_TRUE(status.needs_attention());
    EXPECT_THAT(status.members[0].chain, HasSubstr("timeline 2"));
    auto report = repo::verify(world_.repository(), "shop");
    EXPECT_TRUE(std::ranges::any_of(report.faults, [&](const auto& fault) {
        return fault.object == repo::history_key(id_, 2);
    }));
}

} // namespace
} // namespace tidemark::job
