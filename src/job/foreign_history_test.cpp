// What a server says of its timelines is stored once it is known to be the member's own: a number
// that another server took would be refused to the right one for ever.

#include "base/error.h"
#include "job/mark.h"
#include "job/member_backup.h"
#include "job/world_testing.h"
#include "repo/histories.h"
#include "repo/layout.h"

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;

/// Somewhere there is a restored copy of member a, open, on a timeline 2 of its own.
class ForeignHistoryTest : public ::testing::Test {
protected:
    /// From here on the copy answers at the member's url.
    void meet_copy(bool with_slot)
    {
        auto copy = world_.engine().add_server(
            {.name = "copy", .system_id = "70000000000000000a", .clock = &world_.clock()});
        answer("copy");
        if (with_slot) connect(world_.context(), world_.group().members[0])->create_slot();
        copy->noise(2000);
        copy->promote();
        copy->noise(600'000);
        copy_says_ = *connect(world_.context(), world_.group().members[0])->history_file(2);
    }
    void answer(const std::string& name) { world_.group().members[0].url = "fake:" + name; }
    void fail_over()
    {
        answer("a");
        world_.server(0).promote();
        world_.work();
        auto says = *connect(world_.context(), world_.group().members[0])->history_file(2);
        ASSERT_NE(says, copy_says_);
    }
    template <typename Work> Code code_of(Work work)
    {
        try {
            work(world_.context());
        } catch (const Error& error) {
            return error.code();
        }
        return Code::ok;
    }
    std::optional<std::string> stored()
    {
        return repo::load_history_text(world_.storage(), id_, 2);
    }

    World world_;
    model::MemberId id_{"shop", "a"};
    std::string copy_says_;
};

// rule 13
TEST_F(ForeignHistoryTest, AServerWithoutOurSlotLeavesNone)
{
    meet_copy(false);
    EXPECT_EQ(code_of([](const Context& context) { back_up_log(context); }), Code::log_gap);
    EXPECT_EQ(stored(), std::nullopt);
    fail_over();
    auto mark = place_mark(world_.context(), {}).mark;
    EXPECT_EQ(mark.value.members[0].history.current(), 2U);
    EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
    world_.check_whole();
}

// rule 13
TEST_F(ForeignHistoryTest, AServerWithOtherLogLeavesNone)
{
    meet_copy(true);
    EXPECT_EQ(code_of([](const Context& context) { back_up_log(context); }),
              Code::identity_mismatch);
    EXPECT_EQ(stored(), std::nullopt);
    EXPECT_EQ(code_of([](const Context& context) { back_up_group(context, {}); }),
              Code::identity_mismatch);
    EXPECT_EQ(stored(), std::nullopt);
    fail_over();
    EXPECT_NO_THROW(back_up_log(world_.context()));
    EXPECT_TRUE(stored());
}

// rule 13: an older program stored what any server said.
TEST_F(ForeignHistoryTest, OneThatNothingBelongsToGivesWay)
{
    meet_copy(false);
    repo::store_history(world_.storage(), id_, 2, copy_says_);
    fail_over();
    back_up_log(world_.context());
    EXPECT_NE(stored(), copy_says_);
    auto mark = place_mark(world_.context(), {}).mark;
    EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
    world_.check_whole();
    // The number now is the member's.
    answer("copy");
    EXPECT_EQ(code_of([](const Context& context) { back_up_log(context); }),
              Code::identity_mismatch);
    EXPECT_NE(stored(), copy_says_);
}

// rule 13: also where the server has gone on to a third timeline meanwhile.
TEST_F(ForeignHistoryTest, AnAncestorsGivesWayToo)
{
    meet_copy(false);
    repo::store_history(world_.storage(), id_, 2, copy_says_);
    fail_over();
    fail_over();
    auto mark = place_mark(world_.context(), {}).mark;
    EXPECT_EQ(mark.value.members[0].history.current(), 3U);
    EXPECT_NE(stored(), copy_says_);
    EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
    world_.check_whole();
}

// rule 13
TEST_F(ForeignHistoryTest, OneThatABackupBelongsToStays)
{
    meet_copy(true);
    const auto backups = [&] { return world_.view().members.at("a").backups.size(); };
    const auto before = backups();
    EXPECT_EQ(code_of([](const Context& context) { back_up_group(context, {}); }),
              Code::identity_mismatch);
    EXPECT_EQ(backups(), before) << "the copy is not read";
    {
        // As a backup whose member changed while it was under way.
        auto context = world_.context();
        const auto& member = context.group.members[0];
        back_up_member(context, member, *connect(context, member), {});
    }
    repo::store_history(world_.storage(), id_, 2, copy_says_);
    fail_over();
    EXPECT_EQ(code_of([](const Context& context) { back_up_log(context); }),
              Code::identity_mismatch);
    EXPECT_EQ(stored(), copy_says_);
}

// rule 14: whatever became of it, no log of a timeline is stored without.
TEST_F(ForeignHistoryTest, OneThatIsMissingIsStoredAgain)
{
    world_.server(0).promote();
    world_.work();
    back_up_log(world_.context());
    auto before = stored();
    ASSERT_TRUE(before);
    world_.storage().remove(repo::history_key(id_, 2));
    world_.work();
    back_up_log(world_.context());
    EXPECT_EQ(stored(), before);
    world_.check_whole();
}

} // namespace
} // namespace tidemark::job
