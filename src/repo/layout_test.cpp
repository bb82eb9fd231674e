#include "repo/layout.h"

#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

const MemberId kOrders{.group = "shop", .member = "orders"};

TEST(LayoutTest, KeysAreThese)
{
    PieceId piece{.range = {.epoch = 3, .from = 0x3000000, .to = 0x16B374D848}, .lease = 7};
    EXPECT_EQ(manifest_key(kOrders, 12), "groups/shop/members/orders/backups/0000000012/manifest");
    EXPECT_EQ(page_map_key(kOrders, 12, 7),
              "groups/shop/members/orders/backups/0000000012/pagemap-0000000007");
    EXPECT_EQ(pack_key(kOrders, {.backup = 12, .lease = 7, .number = 3}),
              "groups/shop/members/orders/packs/0000000012-0000000007-000003");
    EXPECT_EQ(
        piece_key(kOrders, piece),
        "groups/shop/members/orders/log/00000003/0000000003000000-00000016b374d848.0000000007");
    EXPECT_EQ(index_key(kOrders, piece), piece_key(kOrders, piece) + ".idx");
    EXPECT_EQ(history_key(kOrders, 10), "groups/shop/members/orders/log/0000000a/history");
    EXPECT_EQ(barrier_key(kOrders, {10, 0x28}),
              "groups/shop/members/orders/log/0000000a/barrier-0000000000000028");
    EXPECT_EQ(claim_key(kOrders, 10), "groups/shop/members/orders/log/claims/0000000a");
    EXPECT_EQ(identity_key(kOrders, 1), "groups/shop/members/orders/identity/0000000001");
    EXPECT_EQ(mark_key("shop", 1843), "groups/shop/marks/0000001843");
    EXPECT_EQ(set_key("shop", 5), "groups/shop/sets/0000000005");
    EXPECT_EQ(run_key("shop", 5), "groups/shop/runs/0000000005");
    EXPECT_EQ(drill_key("shop", 5), "groups/shop/drills/0000000005");
    EXPECT_EQ(lease_key("shop", "backup/orders", 9), "groups/shop/leases/backup/orders/0000000009");
    EXPECT_EQ(intent_key("shop", 5), "groups/shop/intents/0000000005");
    EXPECT_EQ(tombstone_key("shop", 5), "groups/shop/tombstones/0000000005");
    EXPECT_EQ(restores_key("shop", 5), "groups/shop/restores/0000000005");
}

TEST(LayoutTest, EveryKeyComesBack)
{
    PieceId piece{.range = {.epoch = 0xFFFFFFFF, .from = 0, .to = ~0ULL}, .lease = kMaxNumber};
    const std::string keys[] = {
        std::string(kHeadKey),
        manifest_key(kOrders, 0),
        page_map_key(kOrders, 1, 2),
        pack_key(kOrders, {.backup = 1, .lease = 2, .number = kMaxPack}),
        piece_key(kOrders, piece),
        index_key(kOrders, piece),
        history_key(kOrders, 1),
        history_key(kOrders, 2),
        barrier_key(kOrders, {2, 0x5000028}),
        claim_key(kOrders, 5),
        identity_key(kOrders, 3),
        mark_key("g", 4),
        set_key("g", 4),
        run_key("g", 4),
        drill_key("g", 4),
        lease_key("g", "log", 4),
        lease_key("g", "backup/m-1", 4),
        intent_key("g", 4),
        tombstone_key("g", 4),
        restores_key("g", 4),
    };
    for (const std::string& key : keys) {
        auto parsed = parse_key(key);
        ASSERT_TRUE(parsed) << key;
        EXPECT_EQ(format_key(*parsed), key);
    }
    EXPECT_EQ(parse_key(piece_key(kOrders, piece))->piece_id(), piece);
    EXPECT_EQ(parse_key(keys[3])->pack_id(), (PackId{.backup = 1, .lease = 2, .number = kMaxPack}));
}

TEST(LayoutTest, OddKeysAreRefused)
{
    for (const char* key : {
             "",
             "/",
             "tidemark.json2",
             "groups",
             "groups/shop",
             "groups/shop/marks",
             "groups/shop/marks/",
             "groups/shop/marks/1",
             "groups/shop/marks/00000000001",
             "groups/shop/marks/000000000x",
             "groups/Shop/marks/0000000001",
             "groups/-a/marks/0000000001",
             "groups/shop/marks/0000000001/x",
             "groups/shop/members/orders/log/0000000A/history",
             "groups/shop/members/orders/log/0000000a/history-0",
             "groups/shop/members/orders/log/0000000a/history-2",
             "groups/shop/members/orders/log/0000000a/history2",
             "groups/shop/members/orders/log/a/history",
             "groups/shop/members/orders/log/00000001/0000000003000000-0000000003000000.0000000007",
             "groups/shop/members/orders/log/00000001/0000000003000000-0000000002000000.0000000007",
             "groups/shop/members/orders/log/00000001/0000000003000000-0000000004000000.7",
             ("groups/shop/members/orders/log/00000001/"
              "0000000003000000-0000000004000000.0000000007.tmp"),
             "groups/shop/members/orders/packs/0000000001-0000000002-3",
             "groups/shop/members/orders/packs/0000000001-0000000002-000003-",
             "groups/shop/members//packs/0000000001-0000000002-000003",
             "groups/shop/leases/a/b/c/0000000001",
             "groups/shop/leases/0000000001",
             "groups/shop/members/orders/backups/0000000001/pagemap",
         }) {
        EXPECT_FALSE(parse_key(key)) << key;
    }
}

} // namespace
} // namespace tidemark::repo
