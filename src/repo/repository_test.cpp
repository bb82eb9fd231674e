#include "repo/repository.h"

#include "base/error_testing.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "repo/guard_memory.h"
#include "repo/head_memory.h"
#include "repo/layout.h"
#include "repo/little_group.h"
#include "repo/log_catalog.h"
#include "repo/restore_plan.h"
#include "store/faulty.h"
#include "store/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using base::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Repository, CreatedOnceAndFoundAgain)
{
    testing::TestStore t;
    base::SystemRandom random;
    EXPECT_FALSE(Repository::exists(t.storage));
    auto made = Repository::create(t.storage, random);
    EXPECT_EQ(made.head().id.size(), 32U);
    EXPECT_EQ(Repository::open(t.storage).head(), made.head());
    EXPECT_EQ(error_of([&] { Repository::create(t.storage, random); }).code(), Code::usage);
    EXPECT_TRUE(made.groups().empty());
}

TEST(Repository, NoneThereSaysHowToMakeOne)
{
    testing::TestStore t;
    auto error = error_of([&] { Repository::open(t.storage); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.hint(), HasSubstr("tidemark init"));
}

TEST(Repository, LostHeadIsNotReplacedByANewOne)
{
    testing::TestStore t;
    testing::LittleGroup group{t.storage, t.clock};
    t.storage.remove(kHeadKey);
    base::SystemRandom random;
    EXPECT_EQ(error_of([&] { Repository::create(t.storage, random); }).code(), Code::failed);
}

// rule 30
TEST(Repository, AStoreThatLetsItsHeadBeOverwrittenIsRefused)
{
    auto memory = std::make_shared<store::MemoryStorage>();
    store::FaultyStorage storage{memory};
    storage.before(store::Operation::commit, [&](std::string_view key) {
        if (key == kHeadKey) memory->remove(key); // so what is there is replaced
    });
    base::SystemRandom random;
    auto error = error_of([&] { Repository::create(storage, random); });
    EXPECT_EQ(error.code(), Code::failed) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("overwrite"));
    EXPECT_FALSE(Repository::exists(*memory));
}

// rule 30
TEST(Repository, AStoreThatBreaksItsPromisesIsRefused)
{
    auto memory = std::make_shared<store::MemoryStorage>();
    store::FaultyStorage storage{memory};
    storage.before(store::Operation::list, [&](std::string_view prefix) {
        if (prefix.starts_with("probe-"))
            store::put(*memory, std::string(prefix) + "ghost", base::as_bytes("x"));
    });
    base::SystemRandom random;
    auto error = error_of([&] { Repository::create(storage, random); });
    EXPECT_EQ(error.code(), Code::repository_unreachable) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("cannot hold a repository"));
    EXPECT_FALSE(Repository::exists(*memory));
}

TEST(Repository, KnowsItsGroupsAndMembers)
{
    testing::TestStore t;
    testing::LittleGroup group{t.storage, t.clock};
    auto repository = Repository::open(t.storage);
    EXPECT_THAT(repository.groups(), ElementsAre("shop"));
    EXPECT_THAT(repository.members("shop"), ElementsAre("orders", "stock"));
    auto error = error_of([&] { load_view(t.storage, "bank"); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.hint(), HasSubstr("shop"));
}

TEST(Repository, MarksAreFoundAsPeopleNameThem)
{
    testing::TestStore t;
    testing::LittleGroup group{t.storage, t.clock};
    Marks marks{t.storage, "shop"};
    for (const char* asked : {"latest", "m-1", "noon"})
        EXPECT_EQ(error_of([&] { (void)marks.need(asked); }).code(), Code::usage) << asked;
    group.mark("first");
    group.mark("again");
    group.mark("again");
    EXPECT_EQ(marks.need("latest").number(), 3U);
    EXPECT_EQ(marks.need("m-1").value.name, "first");
    EXPECT_EQ(marks.need("first").number(), 1U);
    EXPECT_EQ(marks.need("again").number(), 3U) << "the newest of that name";
    EXPECT_EQ(marks.need("2026-11-22T14:00:02Z").number(), 2U);
    EXPECT_EQ(marks.need("2026-11-22T14:00:02.9Z").number(), 2U);
    EXPECT_EQ(marks.need("2026-11-22T14:00:02Z").value.id, "m-2");
    auto error = error_of([&] { (void)marks.need("2020-01-01"); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.message(), HasSubstr("m-1 to m-3"));
    EXPECT_EQ(marks.list(2).size(), 2U);
    EXPECT_EQ(marks.list(2).front().number(), 3U);
}

TEST(Repository, IdentityOfAMemberIsChecked)
{
    model::MemberIdentity recorded;
    recorded.member = "orders";
    recorded.identity = testing::LittleGroup::identity();
    model::Identity live = recorded.identity;
    EXPECT_NO_THROW(check_identity(recorded, live));
    live.version_num = 150020;
    EXPECT_NO_THROW(check_identity(recorded, live));
    live.system_id = "8";
    EXPECT_EQ(error_of([&] { check_identity(recorded, live); }).code(), Code::identity_mismatch);
}

TEST(Repository, SetAdoptsPiecesOfARunThatDied)
{
    testing::TestStore t;
    testing::LittleGroup group{t.storage, t.clock};
    group.log();
    auto orphan = group.grow("orders");
    auto known = group.grow("orders");
    auto catalog = LogCatalog::load(t.storage, {"shop", "orders"});
    auto found = unnamed_pieces(t.storage, catalog, Sets{t.storage, "shop"}.list(), {known});
    EXPECT_THAT(found, ElementsAre(orphan, known));
    group.members.at("orders").fresh = found;
    group.log();
    group.log();
    // The newest set is enough to know: what earlier ones named is not read again.
    auto again = group.grow("orders");
    catalog = LogCatalog::load(t.storage, {"shop", "orders"});
    found = unnamed_pieces(t.storage, catalog, Sets{t.storage, "shop"}.list(1), {});
    EXPECT_THAT(found, ElementsAre(again));
}

TEST(Repository, SetIsCompleteOrAbsentAtEveryCrash)
{
    for (auto step : {store::MemoryStorage::Step::lost, store::MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; ++k) {
            testing::TestStore t;
            testing::LittleGroup group{t.storage, t.clock};
            t.storage.crash_at(k, step);
            try {
                group.full();
                group.log();
            } catch (const store::CrashError&) {
            }
            bool crashed = t.storage.crashed();
            t.storage.reopen();
            auto view = load_view(t.storage, "shop");
            EXPECT_TRUE(view.unreadable.empty());
            for (const StoredSet& set : view.sets) {
                auto result = plan_restore(view, set.value.mark);
                ASSERT_TRUE(result.plan) << "set " << set.number() << ", crash at " << k << ": "
                                         << result.obstacles.front().text;
                for (const auto& [name, member] : result.plan->members)
                    for (const PlannedPiece& piece : member.pieces)
                        ASSERT_TRUE(piece.sha256);
            }
            // The next run is not hindered by what the dead one left.
            t.clock.advance(std::chrono::minutes{2});
            testing::LittleGroup next{t.storage, t.clock};
            next.full();
            view = load_view(t.storage, "shop");
            ASSERT_TRUE(plan_restore(view, view.marks.front().number()).plan) << "crash at " << k;
            if (!crashed) break;
            ASSERT_LT(k, 300U);
        }
    }
}

// rule 35
TEST(HeadMemory, SeesARepositoryThatWentBack)
{
    base::TempDir dir;
    HeadMemory memory{dir.path() / "state"};
    const std::string id = "0123456789abcdef0123456789abcdef";
    EXPECT_EQ(memory.recall(id, "shop"), std::nullopt);
    memory.remember(id, "shop", {.mark = 7, .set = 5});
    memory.remember(id, "bank", {.mark = 1, .set = 1});
    memory.remember(id, "shop", {.mark = 6, .set = 6});
    auto known = memory.recall(id, "shop");
    EXPECT_EQ(known, (Heads{.mark = 7, .set = 6}));
    EXPECT_EQ(went_back(known, {.mark = 7, .set = 6}), std::nullopt);
    EXPECT_EQ(went_back(known, {.mark = 9, .set = 8}), std::nullopt);
    EXPECT_THAT(went_back(known, {.mark = 6, .set = 6}).value(), HasSubstr("went back"));
    EXPECT_TRUE(went_back(known, {.mark = 7, .set = 5}));
    EXPECT_TRUE(went_back(known, {.mark = 0, .set = 0}));
    EXPECT_EQ(went_back(std::nullopt, {}), std::nullopt);
    EXPECT_THROW((void)memory.recall("../x", "shop"), Error);
}

TEST(HeadMemory, AGroupWithoutMarksIsRemembered)
{
    base::TempDir dir;
    HeadMemory memory{dir.path() / "state"};
    memory.remember("ab", "shop", {});
    EXPECT_EQ(memory.recall("ab", "shop"), Heads{});
}

TEST(HeadMemory, KnowsWhereARepositoryWas)
{
    base::TempDir dir;
    HeadMemory memory{dir.path() / "state"};
    EXPECT_EQ(memory.recall_place("/backups/main"), std::nullopt);
    memory.remember_place("/backups/main", "ab");
    memory.remember_place("/backups/\"other\"", "cd");
    EXPECT_EQ(memory.recall_place("/backups/main"), "ab");
    EXPECT_EQ(memory.recall_place("/backups/\"other\""), "cd");
    memory.remember_place("/backups/main", "ef");
    EXPECT_EQ(memory.recall_place("/backups/main"), "ef");
    base::replace_file(dir.path() / "state" / "places.json", base::as_bytes("{"));
    EXPECT_THROW((void)memory.recall_place("/backups/main"), Error);
    memory.remember_place("/backups/main", "ab");
    EXPECT_EQ(memory.recall_place("/backups/main"), "ab");
}

TEST(HeadMemory, DamagedMemoryIsReplacedNotFatal)
{
    base::TempDir dir;
    HeadMemory memory{dir.path()};
    base::replace_file(dir.path() / "ab.json", base::as_bytes("{"));
    EXPECT_THROW((void)memory.recall("ab", "shop"), Error);
    memory.remember("ab", "shop", {.mark = 1, .set = 1});
    EXPECT_EQ(memory.recall("ab", "shop"), (Heads{.mark = 1, .set = 1}));
}

TEST(GuardMemory, KnowsTheClustersAndWhatIsNotRecordedYet)
{
    base::TempDir dir;
    auto folder = dir.path() / "state";
    GuardMemory memory{folder, "/backups", "shop"};
    EXPECT_EQ(memory.clusters(), std::nullopt);
    EXPECT_TRUE(memory.deeds().empty());
    memory.remember({{"a", "71"}, {"b", "72"}});
    GuardDeed first{.at = *base::parse_time("2026-11-23T01:00:00Z"), .text = "a: dropped"};
    GuardDeed second{.at = *base::parse_time("2026-11-23T02:00:00Z"), .text = "b: dropped"};
    memory.add(first);
    memory.add(second);
    GuardMemory again{folder, "/backups", "shop"};
    EXPECT_EQ(again.clusters()->at("b"), "72");
    EXPECT_EQ(again.deeds(), (std::vector{first, second}));
    EXPECT_TRUE(GuardMemory(folder, "/other", "shop").deeds().empty());
    EXPECT_TRUE(GuardMemory(folder, "/backups", "bank").deeds().empty());
    again.forget({first});
    EXPECT_EQ(memory.deeds(), std::vector{second});
    EXPECT_TRUE(memory.clusters());
    base::replace_file(memory.path(), base::as_bytes("{"));
    EXPECT_THROW((void)memory.deeds(), Error);
    memory.add(first);
    EXPECT_EQ(memory.deeds(), std::vector{first});
}

} // namespace
} // namespace tidemark::repo
