// What a mark has to hold or to say when a coordinator commits before all have prepared, and when a
// server is failed over around a base backup (rules 3, 9 and 10).

#include "job/backup.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/log_reader.h"
#include "repo/marks.h"

#include <set>

namespace tidemark::job {
namespace {

class ClosingMarkTest : public testing::Test {
protected:
    /// "early" is committed at a and not even prepared at b, until the restore points of the next
    /// mark stand: that mark's cut of a retreats to before the commit.
    void commit_early_at_a()
    {
        world_.server(0).prepare("early");
        world_.server(0).finish("early", true);
        world_.server(1).on_operation([this](const std::string& operation) {
            if (operation == "place_restore_point") ++points_;
            if (operation != "insert_position" || points_ != 1 || prepared_) return;
            prepared_ = true;
            world_.server(1).prepare("early");
        });
    }
    std::size_t sets() { return world_.view().sets.size(); }

    World world_;
    int points_ = 0;
    bool prepared_ = false;
};

// rule 10
TEST_F(ClosingMarkTest, ACutOnTheTimelineBeforeTheBackupIsPlacedAgain)
{
    commit_early_at_a();
    world_.server(0).promote(); // so the backup lies on timeline 2, and the first cut on 1
    auto outcome = back_up_group(world_.context(), {});
    world_.server(1).on_operation({});
    EXPECT_EQ(points_, 2) << "placed again";
    const auto& mark = outcome.closing.mark.value;
    for (std::size_t i = 0; i < 2; ++i) {
        const auto& stop = outcome.members[i].manifest.value.stop;
        const auto& member = mark.members[i];
        ASSERT_TRUE(member.history.contains(stop)) << member.name;
        EXPECT_TRUE(member.history.order(member.cut, stop) >= 0) << member.name;
    }
    auto plan = repo::need_plan(repo::plan_restore(world_.view(), outcome.closing.mark.number()));
    for (const auto& member : outcome.members)
        EXPECT_EQ(plan.members.at(member.name).backup.number(), member.manifest.number());
}

// rule 10
TEST_F(ClosingMarkTest, ABackupOnABranchThatWasAbandonedIsNotClosed)
{
    auto fork = world_.server(0).insert_position().offset;
    auto outcome = back_up_group(world_.context(), {});
    const auto& backup = outcome.members[0].manifest;
    ASSERT_EQ(outcome.members[0].name, "a");
    ASSERT_GT(backup.value.stop.offset, fork);
    world_.server(0).promote(fork);
    world_.server(0).noise(100'000); // the new branch goes beyond the backup's end
    auto before = sets();
    try {
        MarkOptions closing;
        closing.backups["a"] = {backup.number(), backup.value.stop};
        place_mark(world_.context(), closing);
        FAIL() << "the set was closed";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::mark_not_placed) << error.what();
        EXPECT_NE(std::string(error.what()).find("abandoned"), std::string::npos) << error.what();
        EXPECT_NE(error.hint().find("tidemark backup"), std::string::npos);
    }
    EXPECT_EQ(sets(), before);
    // Only the backup is of no use: marks go on, and the next backup closes.
    place_mark(world_.context(), {});
    back_up_group(world_.context(), {});
    EXPECT_EQ(sets(), before + 2);
    world_.check_whole();
}

// rule 3
TEST_F(ClosingMarkTest, ACommitBeforeAllHadPreparedIsReported)
{
    commit_early_at_a();
    place_mark(world_.context(), {});
    world_.server(1).on_operation({});
    EXPECT_EQ(points_, 1);
    auto mark = repo::Marks(world_.storage(), "shop").need("latest").value;
    ASSERT_EQ(mark.violations.size(), 1U);
    const auto& violation = mark.violations[0];
    EXPECT_EQ(violation.kind, model::ViolationKind::below_lower_bound);
    EXPECT_EQ(violation.member, "a");
    EXPECT_EQ(violation.global_id, "early");
    EXPECT_EQ(violation.cut, mark.members[0].cut.offset);
    EXPECT_LT(violation.cut, mark.members[0].b);
}

// rule 9
TEST_F(ClosingMarkTest, EveryRestorePointHasANameOfItsOwn)
{
    commit_early_at_a();
    auto outcome = back_up_group(world_.context(), {});
    world_.server(1).on_operation({});
    ASSERT_EQ(points_, 2) << "two for one mark";
    std::set<std::string> names;
    repo::LogReader reader(world_.storage(),
                           repo::LogCatalog::load(world_.storage(), {"shop", "a"}));
    for (const auto& piece : reader.catalog().pieces) {
        for (const auto& point : reader.index(piece, {}).restore_points)
            EXPECT_TRUE(names.insert(point.name).second) << point.name;
    }
    EXPECT_EQ(names.size(), 3U);
    EXPECT_TRUE(names.contains(outcome.closing.mark.value.restore_point));
}

} // namespace
} // namespace tidemark::job
