// Retention over a fake group: what stays restores, what goes goes, whoever else is at work.

#include "job/expire.h"

#include "job/audit.h"
#include "job/join_log.h"
#include "job/reading.h"
#include "job/reindex.h"
#include "job/world_testing.h"
#include "repo/holds.h"
#include "repo/identities.h"
#include "repo/layout.h"
#include "repo/log_reader.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;
using repo::KeyKind;

class ExpireTest : public testing::Test {
protected:
    /// Days with a full backup each, and marks between.
    static void live(World& world, int days, int marks = 2)
    {
        for (int day = 0; day < days; ++day) {
            back_up_group(world.context(), {});
            for (int i = 0; i < marks; ++i) {
                world.clock().advance(24h / (marks + 1));
                world.work();
                place_mark(world.context(), MarkOptions{});
            }
            world.clock().advance(24h / (marks + 1));
        }
    }

    static ExpireOptions options(World& world)
    {
        ExpireOptions out;
        out.grace = out.settle;
        out.join_at_least = 2;
        out.sleep = [&world](base::Duration duration) { world.clock().advance(duration); };
        return out;
    }

    static std::size_t count(World& world, KeyKind kind)
    {
        std::size_t out = 0;
        for (const auto& info : world.storage().list("groups/shop/")) {
            auto key = repo::parse_key(info.key);
            if (key && key->kind == kind) ++out;
        }
        return out;
    }

    static model::RetentionPlan plan_of(World& world)
    {
        SurveyOptions options;
        options.policy.keep_days = world.group().keep_days;
        return survey(world.context(), options).plan;
    }

    /// Nothing is wrong, and every mark that stays for its own sake can be restored and proved.
    static void check_good(World& world)
    {
        world.check_whole();
        auto view = world.view();
        auto plan = plan_of(world);
        EXPECT_TRUE(repo::newest_restorable(view).has_value());
        for (const auto& mark : view.marks) {
            auto fate = plan.marks.find(mark.number());
            if (fate == plan.marks.end() || fate->second.why.starts_with("the proof")) continue;
            EXPECT_TRUE(repo::plan_restore(view, mark.number()).plan.has_value())
                << "m-" << mark.number();
            EXPECT_TRUE(audit_mark(world.context(), repo::mark_id(mark.number())).good())
                << "m-" << mark.number();
        }
    }
};

TEST_F(ExpireTest, RemovesWhatIsOldAndKeepsTheRestRestorable)
{
    World world;
    world.group().keep_days = 3;
    live(world, 6);
    auto backups = count(world, KeyKind::manifest);
    auto packs = count(world, KeyKind::pack);
    auto report = expire(world.context(), options(world));
    EXPECT_GT(report.removed, 0U);
    EXPECT_EQ(report.waiting, 0U);
    EXPECT_LT(count(world, KeyKind::manifest), backups);
    EXPECT_LT(count(world, KeyKind::pack), packs);
    EXPECT_EQ(count(world, KeyKind::manifest), count(world, KeyKind::page_map));
    check_good(world);
    world.work();
    place_mark(world.context(), MarkOptions{});
    check_good(world);
}

TEST_F(ExpireTest, AgainRemovesNothing)
{
    World world;
    world.group().keep_days = 3;
    live(world, 6);
    expire(world.context(), options(world));
    // What joining left over goes with the second; then there is peace.
    expire(world.context(), options(world));
    auto report = expire(world.context(), options(world));
    EXPECT_EQ(report.removed, 0U);
    EXPECT_EQ(report.condemned, 0U);
}

TEST_F(ExpireTest, APlanChangesNothing)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto before = world.storage().list("");
    auto opts = options(world);
    opts.plan_only = true;
    auto report = expire(world.context(), opts);
    EXPECT_FALSE(report.survey.commits.empty());
    EXPECT_FALSE(report.survey.data.empty());
    EXPECT_EQ(world.storage().list("").size(), before.size());
}

TEST_F(ExpireTest, DataStaysThroughItsGrace)
{
    World world;
    world.group().keep_days = 1;
    live(world, 4);
    auto opts = options(world);
    opts.grace = 6h;
    auto packs = count(world, KeyKind::pack);
    auto manifests = count(world, KeyKind::manifest);
    auto report = expire(world.context(), opts);
    EXPECT_LT(count(world, KeyKind::manifest), manifests);
    EXPECT_EQ(count(world, KeyKind::pack), packs);
    EXPECT_GT(report.waiting, 0U);
    world.clock().advance(6h);
    opts.wait = false;
    expire(world.context(), opts);
    EXPECT_LT(count(world, KeyKind::pack), packs);
    check_good(world);
}

TEST_F(ExpireTest, WithoutWaitingTheNextOneRemoves)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto opts = options(world);
    opts.wait = false;
    EXPECT_EQ(expire(world.context(), opts).removed, 0U);
    world.clock().advance(3min);
    EXPECT_GT(expire(world.context(), opts).removed, 0U);
    check_good(world);
}

TEST_F(ExpireTest, AHeldMarkStaysAndOneThatGoesCannotBeHeld)
{
    World world;
    world.group().keep_days = 1;
    live(world, 2);
    auto held = world.view().marks.front().number();
    auto other = held - 4; // no closing mark, and no mark that stays continues from it
    live(world, 3);
    repo::HoldBook book(world.storage(), "shop");
    book.hold(
        {.mark = held, .note = "audit", .by = "here", .since = world.clock().now(), .until = {}});
    auto opts = options(world);
    opts.wait = false;
    expire(world.context(), opts);
    EXPECT_THROW(book.hold({.mark = other, .note = "", .by = "here", .since = {}, .until = {}}),
                 base::Error);
    ASSERT_EQ(book.holds().size(), 1U);
    expire(world.context(), options(world));
    check_good(world);
    EXPECT_TRUE(repo::plan_restore(world.view(), held).plan.has_value());
    EXPECT_EQ(plan_of(world).marks.at(held).why, "held: audit");
    EXPECT_TRUE(book.release(held));
    expire(world.context(), options(world));
    EXPECT_FALSE(repo::Marks(world.storage(), "shop").load(held).has_value());
    check_good(world);
}

TEST_F(ExpireTest, TheNewestProvenMarkStays)
{
    World world;
    world.group().keep_days = 1;
    live(world, 2);
    auto proven = world.view().marks.front().number();
    live(world, 3);
    auto opts = options(world);
    opts.proven = {proven};
    expire(world.context(), opts);
    EXPECT_TRUE(repo::plan_restore(world.view(), proven).plan.has_value());
    world.check_whole();
}

TEST_F(ExpireTest, JoinedPiecesHoldTheSameLog)
{
    World world;
    for (int i = 0; i < 20; ++i) {
        world.clock().advance(1min);
        world.work();
        place_mark(world.context(), MarkOptions{});
    }
    model::MemberId id{"shop", "a"};
    auto before = repo::LogCatalog::load(world.storage(), id);
    model::History history{1};
    auto chain = *before.newest_chain(history);
    auto bytes = repo::LogReader(world.storage(), before).read(history, chain.start, chain.end);
    world.clock().advance(2h);
    auto report = expire(world.context(), options(world));
    EXPECT_GT(report.joined, 20U);
    auto after = repo::LogCatalog::load(world.storage(), id);
    EXPECT_LT(after.pieces.size(), before.pieces.size());
    EXPECT_EQ(*after.newest_chain(history), chain);
    EXPECT_EQ(repo::LogReader(world.storage(), after).read(history, chain.start, chain.end), bytes);
    // The joined index is what the decoder makes of the joined piece.
    auto recorded = repo::Identities(world.storage(), id).latest();
    auto context = world.context();
    auto rebuild = index_rebuilder(context, world.group().members[0], recorded->value.identity,
                                   after, history);
    repo::LogReader reader(world.storage(), after);
    for (const auto& piece : after.pieces) {
        auto stored = reader.index(piece, nullptr);
        auto fresh = rebuild(piece);
        EXPECT_EQ(stored.times.empty(), fresh.times.empty());
        stored.times = fresh.times = {}; // kept more densely where pieces met
        EXPECT_EQ(stored, fresh) << piece.key;
    }
    check_good(world);
    world.work();
    place_mark(world.context(), MarkOptions{});
    check_good(world);
}

TEST_F(ExpireTest, VerifyStillMissesWhatNobodyRemoved)
{
    World world;
    world.group().keep_days = 3;
    live(world, 6);
    expire(world.context(), options(world));
    auto marks = world.view().marks;
    ASSERT_GT(marks.size(), 4U);
    world.storage().remove(marks[2].object.key);
    auto piece = repo::LogCatalog::load(world.storage(), {"shop", "b"}).pieces.front();
    world.storage().remove(piece.key);
    auto repository = repo::Repository::open(world.storage());
    auto report = repo::verify(repository, "shop");
    auto blamed = [&](const std::string& key) {
        return std::any_of(report.faults.begin(), report.faults.end(),
                           [&](const repo::Fault& fault) { return fault.object == key; });
    };
    EXPECT_TRUE(blamed(marks[2].object.key));
    EXPECT_TRUE(blamed(piece.key));
}

TEST_F(ExpireTest, OneAtATime)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto opts = options(world);
    bool refused = false;
    opts.sleep = [&](base::Duration duration) {
        try {
            expire(world.context(), options(world));
        } catch (const base::Error& error) {
            refused = error.code() == base::Code::lease_held;
        }
        world.clock().advance(duration);
    };
    EXPECT_GT(expire(world.context(), opts).removed, 0U);
    EXPECT_TRUE(refused);
    check_good(world);
}

TEST_F(ExpireTest, OneThatSleptThroughItsLeaseRemovesNothing)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto opts = options(world);
    opts.sleep = [&](base::Duration) {
        world.clock().advance(1h); // the lease is over, nobody renewed it
        auto later = world.context();
        auto lease = repo::Lease::acquire(world.storage(), "shop", "expire",
                                          repo::LeaseOwner::this_process("other"));
        lease->release();
    };
    EXPECT_THROW(expire(world.context(), opts), base::Error);
    EXPECT_GT(expire(world.context(), options(world)).removed, 0U);
    check_good(world);
}

TEST_F(ExpireTest, ARunningBackupKeepsWhatItWrote)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    std::size_t during = 0;
    world.server(0).on_operation([&](const std::string& operation) {
        if (operation != "finish_backup" || during != 0) return;
        during = 1;
        expire(world.context(), options(world));
    });
    back_up_group(world.context(), {});
    EXPECT_EQ(during, 1U);
    check_good(world);
}

TEST_F(ExpireTest, ABackupWhosePacksWereTakenForDeadIsRefused)
{
    World world;
    back_up_group(world.context(), {});
    model::MemberId id{"shop", "a"};
    repo::Backups backups(world.storage(), id);
    auto lost = *backups.load(2);
    // As if this writer had stopped right before its manifest, for two days.
    world.storage().remove(lost.object.key);
    auto lease = repo::Lease::acquire(world.storage(), "shop", "backup/a",
                                      repo::LeaseOwner::this_process("test"), {.renew = false});
    world.clock().advance(48h);
    auto opts = options(world);
    opts.wait = false;
    expire(world.context(), opts);
    EXPECT_THROW(backups.commit(*lease, 2, lost.value), base::Error);
    EXPECT_FALSE(backups.load(2).has_value());
    world.clock().advance(1h);
    expire(world.context(), opts);
    lease->release();
    for (const auto& pack : lost.value.packs)
        EXPECT_FALSE(world.storage().stat(pack.key).has_value());
    back_up_group(world.context(), {});
    EXPECT_TRUE(repo::newest_restorable(world.view()).has_value());
}

TEST_F(ExpireTest, StoppedAnywhereTheNextOneGoesOn)
{
    for (auto step : {store::MemoryStorage::Step::lost, store::MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; k += step == store::MemoryStorage::Step::lost ? 1 : 3) {
            SCOPED_TRACE(fmt::format("stopped at step {}", k));
            World world;
            world.group().keep_days = 1;
            live(world, 3, 1);
            world.storage().crash_at(k, step);
            try {
                expire(world.context(), options(world));
            } catch (const base::Error&) {
            }
            bool crashed = world.storage().crashed();
            world.storage().reopen();
            world.check_whole();
            EXPECT_TRUE(repo::newest_restorable(world.view()).has_value());
            world.wait_for_leases();
            expire(world.context(), options(world));
            expire(world.context(), options(world));
            EXPECT_EQ(count(world, KeyKind::manifest), count(world, KeyKind::page_map));
            check_good(world);
            world.work();
            place_mark(world.context(), MarkOptions{});
            world.check_whole();
            if (!crashed || HasFailure()) {
                EXPECT_GT(k, 30U);
                break;
            }
        }
    }
}

/// Everything that a restore to the plan's mark opens.
std::set<std::string> needed_by(const repo::RestorePlan& plan)
{
    std::set<std::string> out{plan.mark->object.key};
    for (const auto& [name, member] : plan.members) {
        out.insert({member.backup.object.key, member.backup.value.page_map.key});
        for (const auto& pack : member.backup.value.packs)
            out.insert(pack.key);
        for (const auto& piece : member.pieces)
            out.insert(piece.piece.key);
    }
    return out;
}

std::size_t absent(World& world, const std::set<std::string>& keys)
{
    return static_cast<std::size_t>(
        std::count_if(keys.begin(), keys.end(), [&](const std::string& key) {
            return !world.storage().stat(key).has_value();
        }));
}

/// The oldest mark: the first to go.
repo::RestorePlan oldest_plan(World& world)
{
    auto view = world.view();
    return repo::need_plan(repo::plan_restore(view, repo::restorable_marks(view).front()));
}

TEST_F(ExpireTest, WhatIsBeingReadStaysAsLongAsItIsRead)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto plan = oldest_plan(world);
    auto needed = needed_by(plan);
    {
        Reading reading(world.context(), plan);
        auto first = expire(world.context(), options(world));
        auto second = expire(world.context(), options(world));
        EXPECT_GT(first.joined, 0U);
        EXPECT_GT(first.removed + second.removed, 0U);
        EXPECT_EQ(absent(world, needed), 0U);
        check_good(world);
        EXPECT_EQ(count(world, KeyKind::intent), 1U);
    }
    expire(world.context(), options(world));
    expire(world.context(), options(world));
    EXPECT_EQ(absent(world, {plan.mark->object.key}), 1U);
    EXPECT_EQ(absent(world, {plan.members.at("a").backup.value.page_map.key}), 1U);
    EXPECT_GT(absent(world, needed), 4U);
    check_good(world);
}

TEST_F(ExpireTest, AKilledReaderKeepsADayToGoOn)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto plan = oldest_plan(world);
    auto needed = needed_by(plan);
    model::Intent intent{.group = "shop", .command = "restore", .host = "here"};
    intent.number = 1;
    intent.mark = plan.mark->number();
    intent.ttl = 24h;
    for (const auto& [name, member] : plan.members)
        intent.reads[name].backups = {member.backup.number()};
    store::put(world.storage(), repo::intent_key("shop", 1), repo::encode_intent(intent));
    world.clock().advance(23h);
    expire(world.context(), options(world));
    EXPECT_EQ(absent(world, {plan.mark->object.key, plan.members.at("a").backup.object.key}), 0U);
    EXPECT_TRUE(repo::plan_restore(world.view(), plan.mark->number()).plan.has_value());
    world.clock().advance(2h);
    expire(world.context(), options(world));
    EXPECT_EQ(absent(world, {plan.mark->object.key, plan.members.at("a").backup.object.key}), 2U);
    check_good(world);
}

TEST_F(ExpireTest, AReaderThatComesAfterTheTombstoneIsSeen)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto plan = oldest_plan(world);
    auto opts = options(world);
    opts.sleep = [&](base::Duration duration) {
        // Another process; here it would wait for the lease that this one holds.
        model::Intent intent{.group = "shop", .command = "restore", .host = "there"};
        intent.number = 7;
        intent.ttl = 24h;
        for (const auto& [name, member] : plan.members) {
            intent.reads[name].backups = {member.backup.number()};
            for (const auto& piece : member.pieces)
                intent.reads[name].log.push_back(piece.piece.range);
        }
        store::put(world.storage(), repo::intent_key("shop", 7), repo::encode_intent(intent));
        world.clock().advance(duration);
    };
    expire(world.context(), opts);
    auto data = needed_by(plan);
    data.erase(plan.mark->object.key);
    EXPECT_EQ(absent(world, data), 0U);
    check_good(world);
}

TEST_F(ExpireTest, ReadingWhatIsGoneIsRefusedInTime)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto plan = oldest_plan(world);
    expire(world.context(), options(world));
    try {
        Reading reading(world.context(), plan);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::not_restorable) << error.what();
    }
    auto left = repo::list_intents(world.storage(), "shop");
    ASSERT_EQ(left.size(), 1U);
    EXPECT_TRUE(left.front().value.over);
}

TEST_F(ExpireTest, ADamagedIntentKeepsEverythingForADay)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    store::put(world.storage(), repo::intent_key("shop", 3), base::to_bytes("{no intent"));
    auto before = count(world, KeyKind::manifest) + count(world, KeyKind::pack) +
                  count(world, KeyKind::piece) + count(world, KeyKind::mark);
    expire(world.context(), options(world));
    EXPECT_GE(count(world, KeyKind::manifest) + count(world, KeyKind::pack) +
                  count(world, KeyKind::piece) + count(world, KeyKind::mark),
              before);
    world.clock().advance(25h);
    EXPECT_GT(expire(world.context(), options(world)).removed, 0U);
    check_good(world);
}

TEST_F(ExpireTest, AVerifyThatLooksMeanwhileFindsNoFault)
{
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    bool removed = false;
    auto report =
        repo::verify(world.repository(), "shop", {.workers = 1}, [&](std::uint64_t, std::uint64_t) {
            if (removed) return;
            removed = true;
            expire(world.context(), options(world));
        });
    EXPECT_TRUE(removed);
    for (const auto& fault : report.faults)
        ADD_FAILURE() << fault.object << ": " << fault.text;
    EXPECT_FALSE(report.notes.empty());
    check_good(world);
}

TEST_F(ExpireTest, WhenDueOnceAnHour)
{
    World world;
    EXPECT_TRUE(expire_when_due(world.context()).has_value());
    EXPECT_FALSE(expire_when_due(world.context()).has_value());
    world.clock().advance(61min);
    EXPECT_TRUE(expire_when_due(world.context()).has_value());
}

} // namespace
} // namespace tidemark::job
