// Tombstones, holds and catalogues of joined pieces: what is written is what is read.

#include "base/error.h"
#include "repo/holds.h"
#include "repo/joined.h"
#include "repo/layout.h"
#include "repo/repo_testing.h"
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

} // namespace
} // namespace tidemark::repo
