#include "repo/restore_plan.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/little_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::LittleGroup;

class RestorePlanTest : public ::testing::Test {
protected:
    RepositoryView view() { return load_view(t.storage, "shop"); }
    std::vector<Obstacle> obstacles(model::Number mark, const PlanOptions& options = {})
    {
        PlanResult result = plan_restore(view(), mark, options);
        EXPECT_FALSE(result.plan);
        return result.obstacles;
    }
    std::vector<ObstacleKind> kinds(model::Number mark, const PlanOptions& options = {})
    {
        std::vector<ObstacleKind> out;
        for (const Obstacle& one : obstacles(mark, options))
            out.push_back(one.kind);
        return out;
    }

    testing::TestStore t;
    LittleGroup group{t.storage, t.clock};
};

TEST_F(RestorePlanTest, TakesTheNewestBackupBelowTheMark)
{
    group.full();
    model::Number early = group.log();
    group.full();
    model::Number late = group.log();
    auto plan = need_plan(plan_restore(view(), late));
    EXPECT_EQ(plan.members.size(), 2U);
    EXPECT_EQ(plan.members.at("orders").backup.number(), 2U);
    EXPECT_EQ(need_plan(plan_restore(view(), early)).members.at("orders").backup.number(), 1U);
    EXPECT_TRUE(plan.warnings.empty());
}

TEST_F(RestorePlanTest, WhatMarksTellDoesNotMakeTheRecentViewReadEverything)
{
    group.full();
    for (int i = 0; i < 20; ++i)
        group.log();
    auto recent = load_recent(t.storage, "shop").marks.size();
    ASSERT_LT(recent, 20U);
    model::Mark mark = group.mark().value;
    model::TransactionAt transaction{.global_id = "g"};
    transaction.parts.push_back({.branch = {.member = "orders", .gid = "g"}});
    mark.at.lost = mark.at.damaged = {transaction};
    auto number = Marks{t.storage, "shop"}.append(*group.lease, mark).number();
    group.close_set(number);
    auto plan = need_plan(plan_restore(view(), number));
    EXPECT_EQ(plan.warnings.size(), 2U);
    EXPECT_EQ(plan.half_there.size(), 2U);
    EXPECT_EQ(load_recent(t.storage, "shop").marks.size(), recent);
}

TEST_F(RestorePlanTest, PlanHoldsEverythingARestoreNeeds)
{
    model::Number number = group.full();
    auto loaded = view();
    auto plan = need_plan(plan_restore(loaded, number));
    const MemberPlan& orders = plan.members.at("orders");
    const model::MarkMember& line = plan.mark->value.members.front();
    EXPECT_EQ(orders.target, line.cut);
    EXPECT_EQ(orders.log_to.offset, line.log_end);
    EXPECT_EQ(orders.log_from, orders.backup.value.start);
    ASSERT_FALSE(orders.pieces.empty());
    EXPECT_LE(orders.pieces.front().piece.range.from, orders.log_from.offset);
    EXPECT_GE(orders.pieces.back().piece.range.to, orders.log_to.offset);
    for (const PlannedPiece& piece : orders.pieces)
        EXPECT_TRUE(piece.sha256);
    EXPECT_EQ(orders.bytes_to_write, 3U * 8192);
    EXPECT_EQ(orders.log_bytes, orders.log_to.offset - orders.log_from.offset);
    EXPECT_EQ(plan.log_bytes, orders.log_bytes + plan.members.at("stock").log_bytes);
    EXPECT_GT(plan.stored_bytes, 0U);
}

TEST_F(RestorePlanTest, NothingPassesLogOfMinimalWalLevel)
{
    group.full();
    model::Number below = group.log();
    auto at = LittleGroup::position(group.members.at("stock"));
    model::LogIndex index = testing::plain_index({at.epoch, at.offset, at.offset + 64});
    index.notices.push_back(
        {.kind = model::LogNoticeKind::wal_level_minimal, .start = at.offset, .detail = ""});
    note_barriers(t.storage, {"shop", "stock"}, index);
    note_barriers(t.storage, {"shop", "stock"}, index); // as the next run would
    group.grow("stock");
    model::Number above = group.log();
    auto result = plan_restore(view(), above);
    ASSERT_EQ(result.obstacles.size(), 1U);
    EXPECT_EQ(result.obstacles.front().kind, ObstacleKind::log_gap);
    EXPECT_THAT(result.obstacles.front().text, HasSubstr("wal_level was minimal"));
    EXPECT_EQ(result.before, below);
    EXPECT_TRUE(plan_restore(view(), below).plan) << "the record is not below this mark";
    model::Number healed = group.full();
    EXPECT_TRUE(plan_restore(view(), healed).plan);
    EXPECT_FALSE(plan_restore(view(), above).plan);
    EXPECT_EQ(newest_restorable(view()), healed);
}

TEST_F(RestorePlanTest, NoBackupAtAll)
{
    model::Number mark = group.log();
    EXPECT_THAT(kinds(mark), ElementsAre(ObstacleKind::no_backup, ObstacleKind::no_backup));
}

TEST_F(RestorePlanTest, MarkBeforeTheFirstBackup)
{
    model::Number early = group.log();
    model::Number late = group.full();
    auto found = plan_restore(view(), early);
    ASSERT_EQ(found.obstacles.size(), 2U);
    EXPECT_EQ(found.obstacles[0].kind, ObstacleKind::no_backup);
    EXPECT_THAT(found.obstacles[0].text, HasSubstr("the earliest is from"));
    EXPECT_EQ(found.before, std::nullopt);
    EXPECT_EQ(found.after, late);
}

TEST_F(RestorePlanTest, BackupThatEndsAfterTheMarkDoesNotFit)
{
    group.full();
    group.backup("orders");
    model::Number mark = group.log();
    auto loaded = view();
    // The same mark, its cut one byte before the newer backup is consistent.
    StoredManifest newest = loaded.members.at("orders").backups.front();
    for (auto& line : loaded.marks.front().value.members)
        if (line.name == "orders") line.cut.offset = newest.value.stop.offset - 1;
    EXPECT_EQ(need_plan(plan_restore(loaded, mark)).members.at("orders").backup.number(), 1U);
    for (auto& line : loaded.marks.front().value.members)
        if (line.name == "orders") line.cut.offset = newest.value.stop.offset;
    EXPECT_EQ(need_plan(plan_restore(loaded, mark)).members.at("orders").backup.number(), 2U);
}

TEST_F(RestorePlanTest, GapIsNamedExactlyAndNeighboursAreFound)
{
    model::Number before = group.full();
    model::Offset from = group.members.at("orders").end;
    group.gap("orders");
    model::Offset to = group.members.at("orders").end;
    model::Number inside = group.log();
    model::Number after = group.full();
    auto result = plan_restore(view(), inside);
    ASSERT_EQ(result.obstacles.size(), 1U);
    EXPECT_EQ(result.obstacles[0].kind, ObstacleKind::log_gap);
    EXPECT_EQ(result.obstacles[0].member, "orders");
    EXPECT_EQ(result.obstacles[0].gap, (model::LogRange{.epoch = 1, .from = from, .to = to}));
    EXPECT_EQ(result.before, before);
    EXPECT_EQ(result.after, after);
    EXPECT_THAT(restorable_marks(view()), ElementsAre(before, after));
    try {
        need_plan(result);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::not_restorable);
        EXPECT_THAT(error.message(), HasSubstr("member orders: log 0/"));
        EXPECT_THAT(error.hint(), HasSubstr("before it is m-1, the nearest after it is m-3"));
    }
}

TEST_F(RestorePlanTest, MissingPieceIsAGapAndAMissingObject)
{
    group.full();
    auto piece = group.grow("stock");
    model::Number mark = group.log();
    t.storage.remove(piece.object.key);
    auto found = obstacles(mark);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].kind, ObstacleKind::log_gap);
    EXPECT_EQ(found[0].gap, piece.range);
    EXPECT_EQ(found[1].kind, ObstacleKind::missing_object);
    EXPECT_EQ(found[1].object, piece.object.key);
}

TEST_F(RestorePlanTest, MissingOrCutPackFallsBackToTheOlderBackup)
{
    group.full();
    auto newer = group.backup("orders");
    model::Number mark = group.log();
    ASSERT_EQ(need_plan(plan_restore(view(), mark)).members.at("orders").backup.number(), 2U);
    auto loaded = view();
    loaded.members.at("orders").packs.at(newer.value.packs.front().key) -= 1;
    EXPECT_EQ(need_plan(plan_restore(loaded, mark)).members.at("orders").backup.number(), 1U);
    t.storage.remove(newer.value.page_map.key);
    auto plan = need_plan(plan_restore(view(), mark));
    EXPECT_EQ(plan.members.at("orders").backup.number(), 1U);
    EXPECT_THAT(plan.warnings,
                ElementsAre(AllOf(HasSubstr("member orders: the base backup b-2 is lost"),
                                  HasSubstr(newer.value.page_map.key), HasSubstr("so b-1"))));
}

TEST_F(RestorePlanTest, WhatARestoreFoundDamagedIsGoneRound)
{
    group.full();
    auto newer = group.backup("orders");
    model::Number mark = group.log();
    auto plan = need_plan(plan_restore(view(), mark));
    std::vector<std::string> warnings;
    auto other =
        plan_around(view(), plan.members.at("orders"), {newer.value.page_map.key}, warnings);
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->backup.number(), 1U);
    EXPECT_EQ(other->target, plan.members.at("orders").target);
    EXPECT_EQ(other->log_to, plan.members.at("orders").log_to);
    EXPECT_EQ(other->log_from, other->backup.value.start);
    replace_member(plan, *other);
    EXPECT_EQ(plan.members.at("orders").backup.number(), 1U);
    std::uint64_t log_bytes = 0;
    for (const auto& [name, member] : plan.members)
        log_bytes += member.log_bytes;
    EXPECT_EQ(plan.log_bytes, log_bytes);
    auto& first = other->backup.value;
    EXPECT_FALSE(
        plan_around(view(), *other, {newer.value.page_map.key, first.page_map.key}, warnings)
            .has_value());
}

TEST_F(RestorePlanTest, MissingPackOfTheOnlyBackup)
{
    model::Number mark = group.full();
    auto backup = Backups{t.storage, {"shop", "orders"}}.load(1).value();
    t.storage.remove(backup.value.packs.front().key);
    auto found = obstacles(mark);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].kind, ObstacleKind::missing_object);
    EXPECT_EQ(found[0].object, backup.value.packs.front().key);
}

TEST_F(RestorePlanTest, DamagedBackupOnlyWhenNothingElseAndFlagged)
{
    group.full();
    group.backup("orders", {{.path = "base/1/2", .block = 7, .why = "checksum"}});
    model::Number mark = group.log();
    EXPECT_EQ(need_plan(plan_restore(view(), mark)).members.at("orders").backup.number(), 1U);
    auto first = Backups{t.storage, {"shop", "orders"}}.load(1).value();
    t.storage.remove(first.value.page_map.key);
    auto plan = need_plan(plan_restore(view(), mark));
    EXPECT_EQ(plan.members.at("orders").backup.number(), 2U);
    EXPECT_TRUE(plan.members.at("orders").damaged);
    ASSERT_EQ(plan.warnings.size(), 2U);
    EXPECT_THAT(plan.warnings[0], HasSubstr("b-1 is lost (" + first.value.page_map.key));
    EXPECT_THAT(plan.warnings[1], HasSubstr("damaged pages"));
    EXPECT_THAT(kinds(mark, {.allow_damaged = false}),
                ElementsAre(ObstacleKind::missing_object, ObstacleKind::backup_damaged));
}

TEST_F(RestorePlanTest, BackupOfNoCompleteSetComesSecondAndIsFlagged)
{
    group.full();
    group.backup("orders");
    group.members.at("orders").backup.reset(); // its run died before it closed a set
    model::Number mark = group.log();
    auto plan = need_plan(plan_restore(view(), mark));
    EXPECT_EQ(plan.members.at("orders").backup.number(), 1U);
    auto first = Backups{t.storage, {"shop", "orders"}}.load(1).value();
    t.storage.remove(first.value.page_map.key);
    plan = need_plan(plan_restore(view(), mark));
    EXPECT_EQ(plan.members.at("orders").backup.number(), 2U);
    ASSERT_EQ(plan.warnings.size(), 2U);
    EXPECT_THAT(plan.warnings[0], HasSubstr("b-1 is lost"));
    EXPECT_THAT(plan.warnings[1], HasSubstr("no complete backup set"));
}

TEST_F(RestorePlanTest, FollowsTheLogAcrossAFailover)
{
    group.full();
    group.log();
    group.fail_over("orders");
    model::Number mark = group.log();
    auto plan = need_plan(plan_restore(view(), mark));
    const MemberPlan& orders = plan.members.at("orders");
    EXPECT_EQ(orders.target.epoch, 2U);
    EXPECT_EQ(orders.log_from.epoch, 1U);
    EXPECT_THAT(orders.history_files, ElementsAre(2U));
    t.storage.remove(history_key({"shop", "orders"}, 2));
    EXPECT_THAT(kinds(mark), ElementsAre(ObstacleKind::missing_history));
}

TEST_F(RestorePlanTest, BackupOnAnAbandonedBranchDoesNotFit)
{
    group.full();
    auto& orders = group.members.at("orders");
    // The old server went on a little, and was backed up, after the new one had branched off.
    model::Offset branch = orders.end;
    group.backup("orders");
    std::string text = "1\t" + model::format_offset(branch) + "\tfailover\n";
    store_history(t.storage, orders.id, 2, text);
    orders.history = model::parse_history(2, text);
    orders.end = branch;
    orders.log = std::make_unique<LogWriter>(
        t.storage, orders.id, *group.lease, model::LogPosition{.epoch = 2, .offset = branch},
        LogWriter::Options{.log_segment_size = testing::kSegment});
    model::Number mark = group.log();
    auto plan = need_plan(plan_restore(view(), mark));
    EXPECT_EQ(plan.members.at("orders").backup.number(), 1U);
    t.storage.remove(manifest_key(orders.id, 1));
    EXPECT_THAT(kinds(mark), ElementsAre(ObstacleKind::other_branch));
}

// rule 13: a base backup is stored before the server's log is compared
TEST_F(RestorePlanTest, BackupOfACopyThatWentAnotherWayDoesNotFit)
{
    group.full();
    group.fail_over("orders");
    auto& orders = group.members.at("orders");
    auto ours = orders.history;
    auto elsewhere = ours.ancestors().front().left_at - 8;
    orders.history = model::History{2, {{.epoch = 1, .left_at = elsewhere}}};
    group.backup("orders");
    orders.history = ours;
    auto mark = group.log();
    EXPECT_EQ(need_plan(plan_restore(view(), mark)).members.at("orders").backup.number(), 1U);
    t.storage.remove(manifest_key(orders.id, 1));
    EXPECT_THAT(kinds(mark), ElementsAre(ObstacleKind::other_branch));
}

TEST_F(RestorePlanTest, AnotherDatabaseIsNoBase)
{
    model::Number mark = group.full();
    auto loaded = view();
    for (auto& line : loaded.marks.front().value.members)
        line.system_id = "9";
    auto result = plan_restore(loaded, mark);
    EXPECT_FALSE(result.plan);
    EXPECT_EQ(result.obstacles.front().kind, ObstacleKind::other_branch);
}

TEST_F(RestorePlanTest, MemberThatTheMarkDoesNotKnow)
{
    model::Number mark = group.full();
    EXPECT_EQ(need_plan(plan_restore(view(), mark, {.members = {"stock"}})).members.size(), 1U);
    EXPECT_THAT(kinds(mark, {.members = {"stock", "billing"}}),
                ElementsAre(ObstacleKind::not_in_mark));
    EXPECT_THROW(plan_restore(view(), 99), Error);
}

TEST_F(RestorePlanTest, HostileMarkIsRefusedNotFollowed)
{
    model::Number mark = group.full();
    for (auto spoil : std::vector<void (*)(model::MarkMember&)>{
             [](model::MarkMember& line) { line.cut.epoch = 9; },
             [](model::MarkMember& line) { line.log_end = 0; },
             [](model::MarkMember& line) { line.log_end = UINT64_MAX; },
             [](model::MarkMember& line) { line.cut.offset = UINT64_MAX; },
             [](model::MarkMember& line) { line.history = model::History{5}; }}) {
        auto loaded = view();
        spoil(loaded.marks.front().value.members.front());
        auto result = plan_restore(loaded, mark);
        EXPECT_FALSE(result.plan);
        EXPECT_FALSE(result.obstacles.empty());
    }
}

TEST_F(RestorePlanTest, UnreadableObjectsAreLeftOutNotFatal)
{
    model::Number first = group.full();
    group.full();
    std::string key = manifest_key({"shop", "orders"}, 2);
    t.storage.remove(key);
    store::put(t.storage, key, base::as_bytes("{}"));
    auto loaded = view();
    EXPECT_TRUE(loaded.unreadable.contains(key));
    EXPECT_EQ(loaded.members.at("orders").backups.size(), 1U);
    EXPECT_THAT(restorable_marks(loaded), ElementsAre(first, 2U));
}

} // namespace
} // namespace tidemark::repo
