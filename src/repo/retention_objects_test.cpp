// Tombstones, holds and catalogues of joined pieces: what is written is what is read.

#include "base/error.h"
#include "repo/golden_json_testing.h"
#include "repo/holds.h"
#include "repo/intents.h"
#include "repo/joined.h"
#include "repo/layout.h"
#include "repo/repo_testing.h"
#include "repo/runs.h"
#include "repo/tombstones.h"

#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using testing::TestStore;

TEST(RetentionObjectsTest, ATombstoneComesBack)
{
    TestStore store;
    auto lease = testing::take(store.storage, "expire");
    model::Tombstone value{.group = "shop", .created = testing::test_time()};
    value.commits = {set_key("shop", 7), mark_key("shop", 7)};
    value.data = {pack_key({"shop", "orders"}, {.backup = 1, .lease = 2, .number = 3})};
    value.gone["marks"] = {{1, 5}, {7, 7}};
    value.gone["members/orders/backups"] = {{1, 1}};
    value.log_gone["orders"] = {{.epoch = 2, .from = 16, .to = 64}};
    Tombstones tombstones(store.storage, "shop");
    tombstones.append(*lease, value);
    auto back = tombstones.latest_readable();
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->value, value);
    EXPECT_EQ(condemned_keys(store.storage, "shop").size(), 3U);
    EXPECT_EQ(sequence_name("shop", marks_prefix("shop")), "marks");
    EXPECT_EQ(sequence_name("shop", backups_prefix({"shop", "orders"})), "members/orders/backups");
}

TEST(RetentionObjectsTest, ATombstoneUnderAnotherOnesNumberIsLeftOut)
{
    TestStore store;
    auto lease = testing::take(store.storage, "expire");
    Tombstones tombstones(store.storage, "shop");
    model::Tombstone value{.group = "shop", .created = testing::test_time()};
    auto first = tombstones.append(*lease, value);
    auto bytes = store::get(store.storage, first.object.key, 1U << 20);
    ASSERT_TRUE(bytes.has_value());
    store::put(store.storage, tombstone_key("shop", 2), *bytes);
    EXPECT_EQ(tombstones.list().size(), 1U);
    EXPECT_EQ(tombstones.latest_readable()->object, first.object);
}

TEST(RetentionObjectsTest, ATombstoneWithOddNumbersIsRefused)
{
    model::Tombstone value{.group = "shop"};
    value.gone["marks"] = {{9, 3}};
    auto bytes =
        encode_tombstone(value, {.number = 1, .lease = {}, .predecessor = {}, .nonce = "0"});
    EXPECT_THROW(decode_tombstone(bytes, {.key = tombstone_key("shop", 1)}), base::Error);
}

TEST(RetentionObjectsTest, HoldsAreGenerations)
{
    TestStore store;
    HoldBook book(store.storage, "shop");
    EXPECT_TRUE(book.holds().empty());
    auto now = testing::test_time();
    model::Hold first{.mark = 9, .note = "a", .by = "here", .since = now, .until = {}};
    model::Hold second{
        .mark = 3, .note = "", .by = "here", .since = now, .until = now + std::chrono::hours{1}};
    book.hold(first);
    book.hold(second);
    EXPECT_EQ(book.holds(), (std::vector<model::Hold>{second, first}));
    EXPECT_TRUE(second.in_force(now));
    EXPECT_FALSE(second.in_force(now + std::chrono::hours{1}));
    first.note = "b";
    book.hold(first); // in place of the one before
    EXPECT_EQ(book.holds(), (std::vector<model::Hold>{second, first}));
    EXPECT_TRUE(book.release(3));
    EXPECT_FALSE(book.release(3));
    EXPECT_EQ(book.holds(), (std::vector<model::Hold>{first}));
    EXPECT_EQ(store.storage.list(holds_prefix("shop")).size(), 4U);
}

TEST(RetentionObjectsTest, AHoldIsNotCutShortByASecondOne)
{
    TestStore store;
    HoldBook book(store.storage, "shop");
    auto now = testing::test_time();
    using std::chrono::hours;
    model::Hold hold{
        .mark = 9, .note = "the move", .by = "here", .since = now, .until = now + hours{5}};
    EXPECT_FALSE(book.hold(hold));
    const auto before = book.holds();
    auto shorter = hold;
    shorter.until = now + hours{4};
    try {
        book.hold(shorter);
        ADD_FAILURE() << "it was cut short";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage) << error.what();
        EXPECT_NE(error.hint().find("tidemark release m-9"), std::string::npos) << error.hint();
    }
    EXPECT_EQ(book.holds(), before);

    auto longer = hold;
    longer.until.reset();
    longer.note.clear();
    EXPECT_EQ(book.hold(longer), hold);
    ASSERT_EQ(book.holds().size(), 1U);
    EXPECT_EQ(book.holds()[0].note, "the move") << "none was given";
    EXPECT_FALSE(book.holds()[0].until);
    EXPECT_THROW(book.hold(hold), base::Error) << "that one has no end";

    // One that is over is nobody's any more.
    ASSERT_TRUE(book.release(9));
    hold.until = now - hours{1};
    book.hold(hold);
    EXPECT_FALSE(book.hold(longer));
    EXPECT_EQ(book.holds()[0].note, "");
}

TEST(RetentionObjectsTest, HoldsGoOnFromTheNewestGenerationThatCanBeRead)
{
    TestStore store;
    HoldBook book(store.storage, "shop");
    auto now = testing::test_time();
    model::Hold first{.mark = 9, .note = "a", .by = "here", .since = now, .until = {}};
    model::Hold second{.mark = 3, .note = "b", .by = "here", .since = now, .until = {}};
    book.hold(first);
    for (model::Number number : {2U, 3U})
        store::put(store.storage, hold_key("shop", number), base::to_bytes("rot"));
    Unreadable unreadable;
    EXPECT_EQ(book.holds(&unreadable), std::vector<model::Hold>{first});
    EXPECT_EQ(unreadable.size(), 2U);

    unreadable.clear();
    EXPECT_FALSE(book.hold(second, &unreadable));
    EXPECT_EQ(unreadable.size(), 2U) << "what they said is lost, and somebody must hear of it";
    EXPECT_EQ(book.holds(), (std::vector<model::Hold>{second, first}));
    unreadable.clear();
    EXPECT_FALSE(book.release(4, &unreadable));
    EXPECT_TRUE(unreadable.empty()) << "the newest is good again";

    store::put(store.storage, hold_key("shop", 5), base::to_bytes("rot"));
    EXPECT_TRUE(book.release(4, &unreadable)) << "it may have been held there";
    EXPECT_TRUE(unreadable.contains(hold_key("shop", 5)));
    EXPECT_EQ(book.holds(), (std::vector<model::Hold>{second, first}));
    EXPECT_EQ(store.storage.list(holds_prefix("shop")).size(), 6U);
}

TEST(RetentionObjectsTest, WhatIsBeingRemovedCannotBeHeld)
{
    TestStore store;
    auto lease = testing::take(store.storage, "expire");
    model::Tombstone value{.group = "shop"};
    value.commits = {mark_key("shop", 9)};
    Tombstones(store.storage, "shop").append(*lease, value);
    HoldBook book(store.storage, "shop");
    model::Hold hold{.mark = 9, .note = "", .by = "", .since = {}, .until = {}};
    EXPECT_THROW(book.hold(hold), base::Error);
    EXPECT_TRUE(book.holds().empty());
}

TEST(RetentionObjectsTest, TheNewestReadableCatalogueOfJoinedPiecesCounts)
{
    TestStore store;
    auto lease = testing::take(store.storage, "expire");
    model::MemberId id{"shop", "orders"};
    JoinedCatalog catalog(store.storage, id);
    EXPECT_TRUE(catalog.pieces().empty());
    model::PieceRef piece{.range = {.epoch = 1, .from = 0, .to = 64},
                          .object = {.key = "k", .size = 5, .sha256 = {}}};
    catalog.append(*lease, {piece});
    EXPECT_EQ(catalog.pieces(), (std::vector<model::PieceRef>{piece}));
    store::put(store.storage, joined_key(id, 2), base::to_bytes("rot"));
    EXPECT_EQ(catalog.pieces(), (std::vector<model::PieceRef>{piece}));
}

CommitHeader golden_header(model::Number number)
{
    return {.number = number,
            .lease = LeaseStamp{.activity = "expire", .number = 17},
            .predecessor = model::ObjectRef{.key = "before", .size = 3, .sha256 = {}},
            .nonce = "abcdef0123456789"};
}

TEST(RetentionObjectsTest, GoldenObjectsAreReadAndWrittenAsEver)
{
    const model::ObjectRef object{.key = "key", .size = 0, .sha256 = {}};
    auto now = testing::test_time();
    model::Tombstone tombstone{.group = "shop", .created = now};
    tombstone.commits = {set_key("shop", 7), mark_key("shop", 7)};
    tombstone.data = {pack_key({"shop", "orders"}, {.backup = 1, .lease = 2, .number = 3})};
    tombstone.gone["marks"] = {{1, 5}, {7, 7}};
    tombstone.log_gone["orders"] = {{.epoch = 2, .from = 16, .to = 64}};
    EXPECT_EQ(decode_tombstone(
                  golden_json("tombstone", encode_tombstone(tombstone, golden_header(3))), object)
                  .value,
              tombstone);
    model::Holds holds{.group = "shop", .holds = {}};
    holds.holds.push_back({.mark = 3, .note = "the move", .by = "here", .since = now, .until = {}});
    holds.holds.push_back(
        {.mark = 9, .note = "", .by = "there", .since = now, .until = now + std::chrono::hours{1}});
    EXPECT_EQ(
        decode_holds(golden_json("holds", encode_holds(holds, golden_header(2))), object).value,
        holds);
    JoinedLog joined{.group = "shop", .member = "orders", .pieces = {}};
    joined.pieces.push_back(
        {.range = {.epoch = 1, .from = 0, .to = 64},
         .object = {.key = piece_key({"shop", "orders"},
                                     {.range = {.epoch = 1, .from = 0, .to = 64}, .lease = 9}),
                    .size = 5,
                    .sha256 = {}}});
    EXPECT_EQ(
        decode_joined(golden_json("joined", encode_joined(joined, golden_header(2))), object).value,
        joined);
    model::Intent intent{.number = 4,
                         .group = "shop",
                         .token = "0123456789abcdef",
                         .command = "restore",
                         .host = "here",
                         .since = now,
                         .ttl = std::chrono::hours{24},
                         .mark = 12,
                         .reads = {{"orders", {.backups = {1, 2}, .log = {{2, 16, 64}}}}}};
    EXPECT_EQ(decode_intent(golden_json("intent", encode_intent(intent)), "key"), intent);
    model::Run run;
    run.group = "shop";
    run.command = "run";
    run.host = "here";
    run.started = run.ended = now;
    run.mark = 12;
    run.retention = {.removed = 4, .removed_bytes = 4096, .joined = 8, .waiting = 2};
    EXPECT_EQ(
        decode_run(golden_json("run-retention", encode_run(run, golden_header(5))), object).value,
        run);
}

} // namespace
} // namespace tidemark::repo
