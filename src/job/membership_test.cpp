#include "job/membership.h"

#include "base/error.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/identities.h"
#include "repo/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::ElementsAre;
using testing::HasSubstr;

class MembershipTest : public ::testing::Test {
protected:
    void refuse(const std::function<void()>& body, const std::string& word)
    {
        try {
            body();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::identity_mismatch) << error.what();
            EXPECT_THAT(std::string(error.what()) + error.hint(), HasSubstr(word));
            return;
        }
        ADD_FAILURE() << "nothing was refused";
    }
    void mark() { place_mark(world_.context(), {}); }
    void leave(const std::string& member)
    {
        auto context = world_.context();
        auto lease = repo::Lease::acquire(world_.storage(), "shop", "log", context.owner(),
                                          {.renew = false});
        record_departure(context, *lease, {member});
    }
    model::MemberSpec take_out_b()
    {
        auto b = world_.group().members.back();
        world_.group().members.pop_back();
        return b;
    }

    World world_;
};

// rule 5: what b decided would be called undecided.
TEST_F(MembershipTest, NoMarkWithoutAMemberThatHasNotLeft)
{
    auto b = take_out_b();
    refuse([&] { mark(); }, "tidemark leave b");
    refuse([&] { back_up_group(world_.context(), {}); }, "does not name: b");
    refuse([&] { initialise(world_.context(), {.unbounded = true}); }, "does not name: b");
    // The others' disks do not fill up meanwhile.
    world_.work();
    auto slot = world_.server(0).slot().restart;
    back_up_log(world_.context());
    EXPECT_GT(world_.server(0).slot().restart, slot);
    EXPECT_THAT(recorded_members(world_.context()), ElementsAre("a", "b"));
    world_.group().members.push_back(b);
    EXPECT_NO_THROW(mark());
}

TEST_F(MembershipTest, BeforeTheFirstMarkToo)
{
    for (const auto& info : world_.storage().list(repo::marks_prefix("shop")))
        world_.storage().remove(info.key);
    take_out_b();
    refuse([&] { mark(); }, "does not name: b");
}

TEST_F(MembershipTest, WhoLeftComesBackOnlyByInit)
{
    auto b = take_out_b();
    world_.clock().advance(std::chrono::seconds{1});
    leave("b");
    EXPECT_THAT(recorded_members(world_.context()), ElementsAre("a"));
    world_.clock().advance(std::chrono::seconds{1});
    mark();
    auto view = world_.view();
    EXPECT_EQ(repo::newest_restorable(view), view.marks.front().number());
    // Another host's configuration still names it.
    world_.group().members.push_back(b);
    refuse([&] { mark(); }, "b has left group shop");
    world_.server(1).lose_slot();
    refuse([&] { back_up_group(world_.context(), {}); }, "b has left group shop");
    auto again = initialise(world_.context(), {.unbounded = true});
    EXPECT_TRUE(again.members.back().recorded);
    EXPECT_FALSE(again.members.front().recorded);
    EXPECT_NO_THROW(back_up_group(world_.context(), {}));
}

/// However it came to be: by an older program, or by somebody's hand.
TEST_F(MembershipTest, AMarkThatLacksAMemberIsNotRestorable)
{
    world_.clock().advance(std::chrono::seconds{1});
    mark();
    auto good = world_.view().marks.front().number();
    auto b = take_out_b();
    leave("b");
    auto generations = repo::Identities(world_.storage(), {"shop", "b"}).list();
    world_.clock().advance(std::chrono::seconds{1});
    mark();
    ASSERT_EQ(world_.view().marks.front().value.members.size(), 1U);
    world_.storage().remove(generations.front().object.key);
    auto view = world_.view();
    auto partial = view.marks.front().number();
    auto refused = repo::plan_restore(view, partial);
    ASSERT_FALSE(refused.plan.has_value());
    EXPECT_EQ(refused.obstacles.front().kind, repo::ObstacleKind::not_in_mark);
    EXPECT_EQ(refused.obstacles.front().member, "b");
    EXPECT_EQ(refused.before, good);
    EXPECT_EQ(repo::newest_restorable(view), good);
    EXPECT_FALSE(repo::plan_restore(view, partial, {.members = {"a"}}).plan.has_value());
    EXPECT_TRUE(
        repo::plan_restore(view, partial, {.members = {"a"}, .alone = true}).plan.has_value());
}

/// As leave did before it was recorded: the block was taken out, and marks went on.
TEST_F(MembershipTest, ADepartureOfOldIsRecordedBehindTheLastMark)
{
    auto b = take_out_b();
    world_.clock().advance(std::chrono::seconds{1});
    leave("b");
    auto generations = repo::Identities(world_.storage(), {"shop", "b"}).list();
    for (int i = 0; i < 2; ++i) {
        world_.clock().advance(std::chrono::seconds{1});
        mark();
    }
    world_.storage().remove(generations.front().object.key);
    auto newest = world_.view().marks.front().number();
    EXPECT_NE(repo::newest_restorable(world_.view()), newest);
    // One clear refusal, one command.
    refuse([&] { mark(); }, "tidemark leave b");
    leave("b");
    EXPECT_EQ(repo::newest_restorable(world_.view()), newest);
    for (const auto& mark : world_.view().marks)
        EXPECT_TRUE(repo::plan_restore(world_.view(), mark.number()).plan.has_value());
    EXPECT_NO_THROW(mark());
}

/// add-member was killed before the file named it, or another host still has the file of before.
TEST_F(MembershipTest, WhoJoinsBelongsWithTheFirstMark)
{
    auto server = world_.engine().add_server(
        {.name = "c", .system_id = "70000000000000000c", .clock = &world_.clock()});
    model::MemberSpec c{.name = "c", .url = "fake:c", .data_dir = {}, .gid_pattern = "identical"};
    auto alone = world_.group();
    alone.members = {c};
    initialise(world_.context().for_group(alone), {.unbounded = true, .late = true});
    for (bool named : {false, true}) {
        world_.clock().advance(std::chrono::seconds{1});
        if (named) world_.group().members.push_back(c);
        mark();
        EXPECT_EQ(world_.view().marks.front().value.members.size(), named ? 3U : 2U);
    }
    EXPECT_TRUE(
        repo::plan_restore(world_.view(), world_.view().marks.at(1).number()).plan.has_value());
    world_.group().members.pop_back();
    refuse([&] { mark(); }, "does not name: c");
    EXPECT_THAT(recorded_members(world_.context()), ElementsAre("a", "b", "c"));
}

class LateMemberTest : public MembershipTest {
protected:
    LateMemberTest()
    {
        world_.engine().add_server(
            {.name = "c", .system_id = "70000000000000000c", .clock = &world_.clock()});
    }
    /// As add-member does, up to naming it in the configuration.
    void join()
    {
        auto alone = world_.group();
        alone.members = {c_};
        initialise(world_.context().for_group(alone), {.unbounded = true, .late = true});
        world_.clock().advance(std::chrono::seconds{1});
    }
    model::Number mark_now(bool with_c)
    {
        auto& members = world_.group().members;
        std::erase_if(members, [](const auto& member) { return member.name == "c"; });
        if (with_c) members.push_back(c_);
        world_.clock().advance(std::chrono::seconds{1});
        mark();
        return repo::Marks(world_.storage(), "shop").latest()->number();
    }
    /// A base backup of all, so that marks with c can be restored.
    model::Number full()
    {
        mark_now(true);
        back_up_group(world_.context(), {});
        return repo::Marks(world_.storage(), "shop").latest()->number();
    }

    model::MemberSpec c_{.name = "c", .url = "fake:c", .data_dir = {}, .gid_pattern = "identical"};
};

/// Killed before the file named it, when it had been in the group already at an earlier time.
TEST_F(LateMemberTest, WhoComesBackBelongsWithTheFirstMarkOfThatTime)
{
    join();
    full();
    leave("c");
    auto without = mark_now(false);
    world_.clock().advance(std::chrono::seconds{1});
    join();
    auto between = mark_now(false);
    for (auto number : {without, between})
        EXPECT_TRUE(repo::plan_restore(world_.view(), number).plan.has_value()) << number;
}

/// The mark that shows that it belonged is older than what a short look reads.
TEST_F(LateMemberTest, AShortLookKnowsWhoIsLacking)
{
    join();
    auto good = full();
    leave("c");
    auto generations = repo::Identities(world_.storage(), {"shop", "c"}).list();
    for (int i = 0; i < 17; ++i)
        mark_now(false);
    world_.storage().remove(generations.front().object.key); // as marks of an older program
    EXPECT_EQ(repo::newest_restorable(repo::load_recent(world_.storage(), "shop")), good);
    EXPECT_EQ(repo::restorable_marks(repo::load_view(world_.storage(), "shop", {.marks = 3})),
              repo::restorable_marks(world_.view()));
}

} // namespace
} // namespace tidemark::job
