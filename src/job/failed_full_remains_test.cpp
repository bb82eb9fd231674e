// What failed full backups leave, and how little of it retention keeps.

#include "base/error.h"
#include "job/backup.h"
#include "job/expire_testing.h"
#include "job/mark.h"
#include "job/run.h"
#include "repo/restore_book.h"

#include <atomic>
#include <chrono>
#include <gmock/gmock.h>
#include <thread>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsSupersetOf;

class FailedFullRemainsTest : public ExpireTest {
protected:
    /// From now on b's copy fails, after that of a was finished.
    void break_late(NewGroup& group)
    {
        group.server(1).on_operation([this, &group](const std::string& operation) {
            if (operation != "copy") return;
            repo::Backups of_a(group.storage(), {"shop", "a"});
            auto patience = std::chrono::steady_clock::now() + 10s;
            while (of_a.next_number() == before_ && std::chrono::steady_clock::now() < patience)
                std::this_thread::yield();
            throw base::Error{base::Code::failed, "a file cannot be read"};
        });
    }

    template <typename Work> void expect_b_fails(NewGroup& group, const Work& work)
    {
        before_ = repo::Backups(group.storage(), {"shop", "a"}).next_number();
        try {
            work();
        } catch (const base::Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr("cannot be read"));
        }
    }

    /// One full backup that fails, and a mark.
    void try_full(World& world)
    {
        expect_b_fails(world, [&] {
            back_up_group(world.context(), {});
            ADD_FAILURE() << "b was copied";
        });
        world.clock().advance(10min);
        world.work();
        place_mark(world.context(), MarkOptions{});
    }

    /// Two days of scheduled runs and of what they expire, and an hour without.
    void fail_for_two_days(NewGroup& group)
    {
        break_late(group);
        auto end = group.clock().now() + 48h;
        for (int i = 0; group.clock().now() < end; ++i) {
            expect_b_fails(group, [&] { run_scheduled(group.context()); });
            if (i % 3 == 2) {
                expire(group.context(), options(group));
                most_ = std::max(most_, backups_of_a(group).size());
            }
            group.clock().advance(20min);
            for (std::size_t member = 0; member < 2; ++member)
                group.server(member).noise(3000);
        }
        EXPECT_GT(before_.load(), 4U) << "it was tried again and again";
        group.clock().advance(1h);
        expire(group.context(), options(group));
    }

    static void break_log(World& world, std::size_t member)
    {
        world.server(member).noise(400'000); // several segments that nobody stored
        world.server(member).lose_slot();
    }

    /// Ascending.
    static std::vector<model::Number> backups_of_a(NewGroup& group)
    {
        std::vector<model::Number> out;
        const auto view = group.view(); // outlives the loop
        for (const auto& backup : view.members.at("a").backups)
            out.push_back(backup.number());
        std::ranges::sort(out);
        return out;
    }

    std::size_t most_ = 0;

private:
    std::atomic<model::Number> before_ = 0;
};

TEST_F(FailedFullRemainsTest, WhereTheFirstOneNeverEndsTwoStay)
{
    NewGroup group;
    fail_for_two_days(group);
    auto left = backups_of_a(group);
    EXPECT_LE(left.size(), 2U);
    EXPECT_LE(most_, 6U);
    ASSERT_FALSE(left.empty());
    EXPECT_EQ(left.front(), 1U) << "all marks can be reached from the oldest";
    EXPECT_FALSE(repo::newest_restorable(group.view()).has_value());

    group.server(1).on_operation({});
    group.clock().advance(1h);
    EXPECT_TRUE(run_scheduled(group.context()).backup.has_value());
    EXPECT_TRUE(repo::newest_restorable(group.view()).has_value());
    group.check_whole();
}

TEST_F(FailedFullRemainsTest, WhereBothChainsBrokeTwoStayBesideThoseOfSets)
{
    World world;
    auto old = repo::restorable_marks(world.view());
    break_log(world, 0);
    break_log(world, 1);
    fail_for_two_days(world);
    auto left = backups_of_a(world);
    EXPECT_LE(left.size(), 3U);
    EXPECT_LE(most_, 7U);
    ASSERT_GE(left.size(), 2U);
    EXPECT_EQ(left[0], 1U) << "of the set";
    EXPECT_EQ(left[1], 2U) << "from which the marks of the new chain can be reached";
    EXPECT_EQ(repo::restorable_marks(world.view()), old);

    world.server(1).on_operation({});
    world.clock().advance(1h);
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
    EXPECT_THAT(repo::restorable_marks(world.view()), IsSupersetOf(old));
    EXPECT_GT(repo::restorable_marks(world.view()).size(), old.size());
    world.check_whole();
}

TEST_F(FailedFullRemainsTest, WhereOneChainBrokeItsMarksCanAllBeRestored)
{
    World world;
    break_log(world, 0);
    fail_for_two_days(world);
    EXPECT_LE(backups_of_a(world).size(), 3U);
    EXPECT_EQ(repo::restorable_marks(world.view()).size(), world.view().marks.size());
    world.check_whole();
}

TEST_F(FailedFullRemainsTest, WhatIsTheOnlyWayToAMarkStays)
{
    World world;
    break_late(world);
    break_log(world, 0);
    for (int i = 0; i < 3; ++i)
        try_full(world); // 2, 3, 4
    for (const auto& info : world.storage().list("groups/shop/members/a/")) {
        auto key = repo::parse_key(info.key);
        if (key && key->kind == repo::KeyKind::pack && key->number == 2)
            world.storage().remove(info.key);
    }
    break_log(world, 0);
    for (int i = 0; i < 3; ++i)
        try_full(world); // 5, 6, 7
    auto restorable = repo::restorable_marks(world.view());
    EXPECT_GE(restorable.size(), 5U);
    world.clock().advance(2h);
    expire(world.context(), options(world));
    // Of 2 a pack is lost, so 3 stands in for 4; 5 lies behind the second gap.
    EXPECT_THAT(backups_of_a(world), ElementsAre(1, 2, 3, 5, 7));
    EXPECT_EQ(repo::restorable_marks(world.view()), restorable);
}

// rule 32
TEST_F(FailedFullRemainsTest, WhatAnUnfinishedRestoreStandsOnStays)
{
    World world;
    break_late(world);
    break_log(world, 0);
    try_full(world); // 2
    try_full(world); // 3
    const auto view = world.view();
    auto mark = repo::restorable_marks(view).back();
    auto base = repo::need_plan(repo::plan_restore(view, mark)).members.at("a").backup;
    ASSERT_EQ(base.number(), 3U) << "less log to replay than from 2";
    repo::RestoreBook book(world.storage(), "shop");
    model::JointReport report{.stage = model::JointStage::at_mark,
                              .host = "here",
                              .folder = "/r",
                              .ticket = "t",
                              .program = "p",
                              .at = world.clock().now(),
                              .backup = base.number()};
    auto restore =
        book.enlist({.mark = mark, .all_members = {"a", "b"}, .reports = {{"a", report}}});
    try_full(world); // 4
    world.clock().advance(2h);
    expire(world.context(), options(world));
    EXPECT_THAT(backups_of_a(world), ElementsAre(1, 2, 3, 4));
    for (const auto& pack : base.value.packs)
        EXPECT_TRUE(world.storage().stat(pack.key).has_value()) << pack.key;
    EXPECT_EQ(plan_of(world).members.at("a").backups.at(3).why, "restore-1 is not finished");

    EXPECT_TRUE(book.forget(restore.number, world.clock().now()));
    expire(world.context(), options(world));
    EXPECT_THAT(backups_of_a(world), ElementsAre(1, 2, 4));
}

} // namespace
} // namespace tidemark::job
