// Retention over a fake group: what stays restores, what goes goes, whoever else is at work.

#include "job/expire_testing.h"

#include "job/join_log.h"
#include "job/reindex.h"
#include "repo/holds.h"
#include "repo/identities.h"
#include "repo/log_reader.h"
#include "repo/open_runs.h"
#include "repo/restore_book.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;
using repo::KeyKind;

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

TEST_F(ExpireTest, WhileTheNewestHoldsCannotBeReadNothingGoes)
{
    World world;
    world.group().keep_days = 1;
    live(world, 2);
    auto held = world.view().marks.front().number();
    repo::HoldBook book(world.storage(), "shop");
    model::Hold hold{
        .mark = held - 1, .note = "", .by = "here", .since = world.clock().now(), .until = {}};
    book.hold(hold);
    live(world, 3);
    // One of these held `held`; the only ones that can be read are not among the newest two.
    for (model::Number number : {2U, 3U})
        store::put(world.storage(), repo::hold_key("shop", number), base::to_bytes("rot"));
    auto marks = world.view().marks.size();
    auto manifests = count(world, KeyKind::manifest), packs = count(world, KeyKind::pack);
    for (int i = 0; i < 2; ++i) {
        expire(world.context(), options(world));
        world.clock().advance(25h);
    }
    EXPECT_EQ(world.view().marks.size(), marks);
    EXPECT_EQ(count(world, KeyKind::manifest), manifests);
    EXPECT_EQ(count(world, KeyKind::pack), packs);
    EXPECT_EQ(book.holds().size(), 1U);
    EXPECT_TRUE(std::ranges::any_of(world.progress().warnings(), [](const std::string& one) {
        return one.find("say `tidemark hold` again") != std::string::npos;
    }));

    hold.mark = held;
    book.hold(hold);
    EXPECT_EQ(book.holds().size(), 2U);
    expire(world.context(), options(world));
    EXPECT_LT(world.view().marks.size(), marks) << "the others go now";
    EXPECT_TRUE(repo::plan_restore(world.view(), held - 1).plan.has_value());
    EXPECT_TRUE(repo::plan_restore(world.view(), held).plan.has_value());
}

TEST_F(ExpireTest, TheMarkOfAnUnfinishedRestoreStays)
{
    World world;
    world.group().keep_days = 1;
    live(world, 2);
    auto mark = world.view().marks.front().number();
    repo::RestoreBook book(world.storage(), "shop");
    model::JointReport report{
        .host = "here", .folder = "/r", .ticket = "t", .program = "p", .at = world.clock().now()};
    auto restore =
        book.enlist({.mark = mark, .all_members = {"a", "b"}, .reports = {{"a", report}}});
    live(world, 3);
    expire(world.context(), options(world));
    check_good(world);
    EXPECT_TRUE(repo::plan_restore(world.view(), mark).plan.has_value());
    EXPECT_EQ(plan_of(world).marks.at(mark).why, "restore-1 is not finished");
    EXPECT_TRUE(book.forget(restore.number, world.clock().now()));
    expire(world.context(), options(world));
    EXPECT_FALSE(repo::Marks(world.storage(), "shop").load(mark).has_value());
    check_good(world);
}

TEST_F(ExpireTest, WhileTheNewestBookOfRestoresCannotBeReadNothingGoes)
{
    World world;
    world.group().keep_days = 1;
    live(world, 2);
    auto wanted = world.view().marks.front().number();
    repo::RestoreBook book(world.storage(), "shop");
    model::JointReport report{
        .host = "here", .folder = "/r", .ticket = "t", .program = "p", .at = world.clock().now()};
    auto begin = [&](model::Number mark) {
        book.enlist({.mark = mark, .all_members = {"a", "b"}, .reports = {{"a", report}}});
    };
    begin(wanted - 1);
    live(world, 3);
    // In one of these the restore to `wanted` was begun.
    for (model::Number number : {2U, 3U})
        store::put(world.storage(), repo::restores_key("shop", number), base::to_bytes("rot"));
    auto marks = world.view().marks.size();
    auto manifests = count(world, KeyKind::manifest), packs = count(world, KeyKind::pack);
    for (int i = 0; i < 2; ++i) {
        expire(world.context(), options(world));
        world.clock().advance(25h);
    }
    EXPECT_EQ(world.view().marks.size(), marks);
    EXPECT_EQ(count(world, KeyKind::manifest), manifests);
    EXPECT_EQ(count(world, KeyKind::pack), packs);
    EXPECT_EQ(book.open().size(), 1U) << "the generation that can be read is still there";
    EXPECT_TRUE(std::ranges::any_of(world.progress().warnings(), [](const std::string& one) {
        return one.find("say the same `tidemark restore --only` again") != std::string::npos;
    }));

    begin(wanted);
    EXPECT_EQ(book.open().size(), 2U);
    expire(world.context(), options(world));
    EXPECT_LT(world.view().marks.size(), marks) << "the others go now";
    EXPECT_TRUE(repo::plan_restore(world.view(), wanted - 1).plan.has_value());
    EXPECT_TRUE(repo::plan_restore(world.view(), wanted).plan.has_value());
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

// rule 36
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

TEST_F(ExpireTest, WhoWaitsSaysForWhatAndWhoIsAtWork)
{
    struct Notes final : Progress {
        void stage(std::string_view, std::string_view what, std::uint64_t) override
        {
            all += std::string(what) + "\n";
        }
        void advance(std::string_view, std::uint64_t) override {}
        void finished(std::string_view) override {}
        void note(std::string_view text) override { all += std::string(text) + "\n"; }
        void warn(std::string_view) override {}
        std::string all;
    };
    World world;
    world.group().keep_days = 1;
    live(world, 3);
    auto elsewhere = repo::LeaseOwner::this_process("backup");
    elsewhere.host = "db7";
    elsewhere.boot = "another";
    auto trace = repo::leave_trace(world.storage(), "shop", elsewhere, {.renew = false});
    Notes notes;
    expire(world.context().telling(notes), options(world));
    EXPECT_THAT(notes.all, testing::HasSubstr("before anything is removed"));
    EXPECT_THAT(notes.all, testing::ContainsRegex("wait to [0-9:]+\n"));
    EXPECT_THAT(notes.all, testing::HasSubstr("at work meanwhile: `backup` on db7 since "));
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
