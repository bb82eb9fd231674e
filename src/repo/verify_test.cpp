#include "repo/verify.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/little_group.h"
#include "repo/runs.h"
#include "store/faulty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LittleGroup;

/// A repository with two full sets, log sets between them, a failover and every kind of object.
class VerifyTest : public ::testing::Test {
protected:
    VerifyTest()
    {
        group.full(); // m-1
        group.log();  // m-2
        group.fail_over("orders");
        group.log();  // m-3
        group.full(); // m-4
        group.log();  // m-5
        model::Run run;
        run.command = "log";
        Runs{*memory, "shop"}.append(run);
        Runs{*memory, "shop"}.append(run);
    }

    VerifyReport check(const VerifyOptions& options = {})
    {
        return verify(Repository::open(storage), "shop", options);
    }
    std::vector<std::string> keys()
    {
        std::vector<std::string> out;
        for (const auto& info : memory->list("groups/"))
            if (parse_key(info.key)->kind != KeyKind::lease) out.push_back(info.key);
        return out;
    }
    /// The fault of one object.
    Fault fault_of(const VerifyReport& report, const std::string& key)
    {
        for (const Fault& fault : report.faults)
            if (fault.object == key) return fault;
        ADD_FAILURE() << "no fault names " << key;
        return {};
    }

    base::FakeClock clock{testing::test_time()};
    std::shared_ptr<store::MemoryStorage> memory = std::make_shared<store::MemoryStorage>(clock);
    store::FaultyStorage storage{memory};
    LittleGroup group{*memory, clock};
};

TEST_F(VerifyTest, SoundRepositoryHasNoFaults)
{
    std::uint64_t last = 0;
    auto report = verify(Repository::open(storage), "shop", {.unpack = true, .workers = 1},
                         [&](std::uint64_t done, std::uint64_t total) {
                             EXPECT_LE(done, total);
                             last = done;
                         });
    for (const Fault& fault : report.faults)
        ADD_FAILURE() << fault.object << ": " << fault.text;
    EXPECT_THAT(report.notes, IsEmpty());
    EXPECT_EQ(report.marks, 5U);
    EXPECT_EQ(report.restorable_marks, 5U);
    EXPECT_GE(report.objects, keys().size() - 4);
    EXPECT_EQ(report.bytes, last);
    EXPECT_GT(report.bytes, 0U);
}

TEST_F(VerifyTest, EveryMissingObjectIsFound)
{
    for (const std::string& key : keys()) {
        storage.heal();
        storage.hide(key);
        auto report = check();
        Key parsed = parse_key(key).value();
        if (parsed.kind == KeyKind::index) {
            EXPECT_TRUE(report.ok()) << key;
            EXPECT_THAT(report.notes, Contains(HasSubstr("has no index")));
            continue;
        }
        Sequence runs{storage, runs_prefix("shop")};
        bool newest = (parsed.kind == KeyKind::run && parsed.number == 2) ||
                      (parsed.kind == KeyKind::mark && parsed.number == 5) ||
                      (parsed.kind == KeyKind::set && parsed.number == 5) ||
                      (parsed.kind == KeyKind::manifest && parsed.number == 2) ||
                      parsed.kind == KeyKind::identity;
        // The newest of a chain cannot be missed from inside: head memory does (rules.md 35).
        if (newest) continue;
        EXPECT_EQ(fault_of(report, key).kind, FaultKind::missing) << key;
    }
}

TEST_F(VerifyTest, EveryChangedOrCutObjectIsFound)
{
    for (const std::string& key : keys()) {
        std::uint64_t size = memory->stat(key)->size;
        for (std::uint64_t at : {std::uint64_t{0}, size / 2, size - 1}) {
            storage.heal();
            storage.corrupt(key, at);
            auto report = check();
            EXPECT_NE(fault_of(report, key).text, "") << key << " at " << at;
        }
        storage.heal();
        storage.cut(key, size - 1);
        EXPECT_FALSE(check().ok()) << key << " cut";
    }
}

TEST_F(VerifyTest, CostOfALostPack)
{
    auto first = Backups{*memory, {"shop", "orders"}}.load(1).value();
    storage.hide(first.value.packs.front().key);
    auto report = check();
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_EQ(report.faults[0].member, "orders");
    EXPECT_THAT(report.faults[0].backups, ElementsAre(1U));
    EXPECT_THAT(report.faults[0].marks, ElementsAre(1U, 2U, 3U));
    EXPECT_EQ(report.restorable_marks, 2U);
}

TEST_F(VerifyTest, LostNewBackupCostsNothingWhereTheOlderOneServes)
{
    auto second = Backups{*memory, {"shop", "stock"}}.load(2).value();
    storage.corrupt(second.value.packs.front().key, 60);
    auto report = check();
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_THAT(report.faults[0].backups, ElementsAre(2U));
    EXPECT_THAT(report.faults[0].marks, IsEmpty());
    EXPECT_EQ(report.restorable_marks, 5U);
}

TEST_F(VerifyTest, CostOfALostPiece)
{
    auto set = Sets{*memory, "shop"}.load(2).value();
    std::string key = set.value.members.at("stock").pieces.front().object.key;
    storage.hide(key);
    auto report = check();
    Fault fault = fault_of(report, key);
    EXPECT_EQ(report.faults.size(), 1U) << "the gap is told once, as the lost piece";
    EXPECT_THAT(fault.marks, ElementsAre(2U, 3U));
    EXPECT_THAT(fault.backups, IsEmpty());
}

TEST_F(VerifyTest, GapInTheLogNamesTheMarksInsideItUntilItIsHealed)
{
    group.gap("stock");
    group.log(); // m-6
    auto report = check();
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_EQ(report.faults[0].kind, FaultKind::log_gap);
    EXPECT_EQ(report.faults[0].member, "stock");
    EXPECT_THAT(report.faults[0].marks, ElementsAre(6U));
    EXPECT_EQ(report.restorable_marks, 5U);
    group.full(); // m-7
    auto healed = check();
    EXPECT_TRUE(healed.ok());
    ASSERT_EQ(healed.notes.size(), 1U);
    EXPECT_THAT(healed.notes[0], HasSubstr("so m-6 cannot be restored"));
    EXPECT_EQ(healed.restorable_marks, 6U);
}

TEST_F(VerifyTest, HealedGapIsANote)
{
    group.gap("stock");
    group.full(); // m-6: the base backup heals it before any mark lies inside
    auto report = check();
    EXPECT_TRUE(report.ok());
    EXPECT_THAT(report.notes, ElementsAre(HasSubstr("healed")));
}

TEST_F(VerifyTest, LostHistoryFileCostsTheMarksThatFollowIt)
{
    std::string key = history_key({"shop", "orders"}, 2);
    storage.hide(key);
    EXPECT_THAT(fault_of(check(), key).marks, ElementsAre(3U, 4U, 5U));
}

TEST_F(VerifyTest, OverlappingPiecesMustAgree)
{
    model::LogRange range{
        .epoch = 1, .from = testing::kSegment + 100, .to = testing::kSegment + 300};
    PieceId id{.range = range, .lease = 99};
    store::put(*memory, piece_key({"shop", "stock"}, id), testing::build_piece(range).bytes);
    EXPECT_TRUE(check().ok());
    memory->remove(piece_key({"shop", "stock"}, id));
    PieceBuilder other{{.system_id = 7001,
                        .segment_size = testing::kSegment,
                        .version_num = 150018,
                        .range = range},
                       {}};
    (void)other.append(base::Bytes(200));
    store::put(*memory, piece_key({"shop", "stock"}, id), other.finish().bytes);
    auto report = check();
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_THAT(report.faults[0].text, HasSubstr("other bytes than"));
}

TEST_F(VerifyTest, SwappedCommitObjectBreaksTheChain)
{
    std::string key = mark_key("shop", 2);
    auto other =
        decode_mark(*store::get(*memory, key, 1 << 20), {.key = key, .size = 0, .sha256 = {}});
    memory->remove(key);
    other.value.name = "forged";
    store::put(*memory, key, encode_mark(other.value, other.header)); // a sound object of its own
    EXPECT_EQ(fault_of(check(), key).kind, FaultKind::damaged);
}

TEST_F(VerifyTest, WithoutDataOnlyPresenceAndSizeAreChecked)
{
    auto first = Backups{*memory, {"shop", "orders"}}.load(1).value();
    storage.corrupt(first.value.packs.front().key, 60);
    EXPECT_TRUE(check({.data = false}).ok());
    storage.heal();
    storage.cut(first.value.packs.front().key, 60);
    EXPECT_FALSE(check({.data = false}).ok());
}

TEST(VerifyCostTest, AMarkThatNeverWasRestorableIsNoCost)
{
    base::FakeClock clock{testing::test_time()};
    store::MemoryStorage storage{clock};
    base::SeededRandom random(1);
    auto repository = Repository::create(storage, random);
    LittleGroup group{storage, clock};
    group.log(); // m-1: nothing is backed up so far
    clock.advance(std::chrono::seconds{1});
    group.full(); // m-2
    const auto key = manifest_key({"shop", "orders"}, 1);
    auto bytes = *store::get(storage, key, 1 << 20);
    bytes[bytes.size() / 2] ^= std::byte{1};
    storage.remove(key);
    store::put(storage, key, bytes);
    auto report = verify(repository, "shop");
    ASSERT_EQ(report.faults.size(), 1U);
    EXPECT_THAT(report.faults[0].marks, ElementsAre(2U));
    EXPECT_THAT(report.faults[0].text, ::testing::StartsWith("damaged: "));
}

TEST_F(VerifyTest, WhatIsNoJsonIsSaidOnceAndPlainly)
{
    const auto key = mark_key("shop", 2);
    storage.corrupt(key, 0);
    auto report = check();
    EXPECT_EQ(report.marks, 5U);
    EXPECT_EQ(report.restorable_marks, 4U);
    auto fault = fault_of(report, key);
    EXPECT_EQ(fault.text, "damaged: it is no JSON from byte 1 on");
    auto unreadable = load_view(storage, "shop").unreadable;
    EXPECT_EQ(unreadable.at(key), fault.text);
}

TEST_F(VerifyTest, ADamagedLeaseIsANote)
{
    const auto newest = read_lease(*memory, "shop", "log")->number;
    store::put(*memory, lease_key("shop", "log", newest + 1), base::as_bytes("{\"kind\":"));
    auto report = check();
    EXPECT_TRUE(report.ok());
    ASSERT_EQ(report.notes.size(), 1U);
    EXPECT_THAT(report.notes[0], HasSubstr(lease_key("shop", "log", newest + 1) + ": damaged"));
    // One that was followed by a good one stops nobody.
    store::put(*memory, lease_key("shop", "log", newest + 2),
               *store::get(*memory, lease_key("shop", "log", newest), 1 << 20));
    EXPECT_THAT(check().notes, IsEmpty());
}

TEST_F(VerifyTest, LeftoversAreNotes)
{
    store::put(*memory, pack_key({"shop", "orders"}, {.backup = 9, .lease = 9, .number = 0}),
               base::as_bytes("x"));
    auto report = check();
    EXPECT_TRUE(report.ok());
    EXPECT_THAT(report.notes, ElementsAre(HasSubstr("did not end")));
}

TEST_F(VerifyTest, StoreThatCannotBeReadIsAnErrorNotAFault)
{
    storage.fail(store::Operation::read, Error{Code::repository_unreachable, "gone"},
                 {.after = 40, .times = store::FaultyStorage::kAlways});
    try {
        check();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::repository_unreachable);
    }
}

TEST_F(VerifyTest, StopsWhenAsked)
{
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(verify(Repository::open(storage), "shop", {}, {}, stop.get_token()), Error);
}

} // namespace
} // namespace tidemark::repo
