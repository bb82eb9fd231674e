// What retention leaves of drills: a proof that went would take its mark with it the next time.

#include "job/expire_testing.h"
#include "job/status.h"
#include "repo/drills.h"

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;

class ExpireProofsTest : public ExpireTest {
protected:
    /// The report of a drill of that mark.
    void drilled(model::Number mark, bool passed)
    {
        model::Drill drill;
        drill.group = "shop";
        drill.mark = mark;
        drill.started = drill.ended = world.clock().now();
        if (passed)
            drill.restore_took = 40s;
        else
            drill.failure = "no room in the scratch folder";
        drills().append(drill);
    }

    repo::Drills drills() { return {world.storage(), "shop"}; }

    void expire_twice()
    {
        // What the first one names, the second removes.
        for (int i = 0; i < 2; ++i) {
            expire(world.context(), options(world));
            world.clock().advance(25h);
        }
    }

    World world;
};

TEST_F(ExpireProofsTest, TheNewestProvenMarkOutlivesAHundredDrillsThatFail)
{
    world.group().keep_days = 3;
    auto proven = place_mark(world.context(), MarkOptions{}).mark.number();
    drilled(proven, true);
    for (int i = 0; i < 101; ++i)
        drilled(proven, false);
    live(world, 10);
    expire_twice();
    EXPECT_EQ(drills().list().size(), 101U) << "the newest hundred, and the proof";
    live(world, 5);
    expire_twice();
    auto view = world.view();
    EXPECT_TRUE(repo::plan_restore(view, proven).plan.has_value()) << "it stays with its backups";
    auto status = read_status(world.context(), view, {});
    ASSERT_TRUE(status.proof.has_value()) << "else it would say never";
    EXPECT_EQ(status.proof->mark, proven);
    check_good(world);
}

TEST_F(ExpireProofsTest, ADrillThatFailedLatelyStaysBesideTheNewestHundred)
{
    auto mark = place_mark(world.context(), MarkOptions{}).mark.number();
    drilled(mark, false);
    drilled(mark, true);
    world.clock().advance(24h * 5);
    for (int i = 0; i < 100; ++i)
        drilled(mark, true);
    world.work();
    place_mark(world.context(), MarkOptions{});
    expire_twice();
    EXPECT_TRUE(drills().load(1).has_value()) << "it failed";
    EXPECT_FALSE(drills().load(2).has_value()) << "newer ones prove the mark";
}

} // namespace
} // namespace tidemark::job
