// What stays of a member that left: what marks of its time need, and nothing for its own sake.

#include "job/expire_testing.h"
#include "job/membership.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;

class ExpireLeftTest : public ExpireTest {
protected:
    ExpireLeftTest()
    {
        world.group().keep_days = 3;
        live(world, 3);
        back_up_log(world.context()); // no set names this
        b_ = world.group().members.back();
        world.group().members.pop_back();
        auto lease = repo::Lease::acquire(world.storage(), "shop", "log", world.context().owner(),
                                          {.renew = false});
        record_departure(world.context(), *lease, {"b"});
        world.clock().advance(1s); // marks from now on are later than that
    }

    std::size_t left_of_b()
    {
        std::size_t out = 0;
        for (const auto& info : world.storage().list("groups/shop/members/b/")) {
            auto key = repo::parse_key(info.key);
            bool data =
                key && (key->kind == repo::KeyKind::manifest ||
                        key->kind == repo::KeyKind::page_map || key->kind == repo::KeyKind::pack ||
                        key->kind == repo::KeyKind::piece || key->kind == repo::KeyKind::index);
            out += data ? 1 : 0;
        }
        return out;
    }

    void let_b_go()
    {
        live(world, world.group().keep_days + 2);
        // What joining left over goes with the second.
        expire(world.context(), options(world));
        expire(world.context(), options(world));
    }

    World world;
    model::MemberSpec b_;
};

TEST_F(ExpireLeftTest, WhileMarksOfItsTimeStayItCanBeRestored)
{
    auto mark = world.view().marks.front().number();
    live(world, 1);
    expire(world.context(), options(world));
    EXPECT_TRUE(repo::plan_restore(world.view(), mark).plan.has_value());
    EXPECT_GT(left_of_b(), 0U);
    check_good(world);
}

TEST_F(ExpireLeftTest, ThenNothingOfItStaysAndItPinsNothingOfTheOthers)
{
    let_b_go();
    EXPECT_EQ(left_of_b(), 0U);
    auto oldest = world.view().members.at("a").backups.back().value.started;
    EXPECT_GE(oldest, world.clock().now() - 24h * (world.group().keep_days + 1));
    check_good(world);
}

TEST_F(ExpireLeftTest, WhenItComesBackItsNumbersBeginAnewAndGoInTheirTimeOnly)
{
    let_b_go();
    world.group().members.push_back(b_);
    connect(world.context(), b_)->drop_slot();
    initialise(world.context(), {.unbounded = true});
    auto backup = back_up_group(world.context(), {});
    EXPECT_EQ(backup.members[1].manifest.number(), 1U);
    expire(world.context(), options(world));
    EXPECT_TRUE(repo::Backups(world.storage(), {"shop", "b"}).load(1).has_value());
    EXPECT_EQ(repo::newest_restorable(world.view()), backup.closing.mark.number());
    check_good(world);
}

} // namespace
} // namespace tidemark::job
