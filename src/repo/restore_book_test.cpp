#include "repo/restore_book.h"

#include "base/error.h"
#include "repo/golden_json_testing.h"
#include "repo/layout.h"
#include "repo/repo_testing.h"
#include "repo/tombstones.h"

#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using testing::TestStore;

model::Enlistment enlistment(const std::string& member, const std::string& ticket,
                             model::Number mark = 9)
{
    model::JointReport report{.stage = model::JointStage::working,
                              .host = "here",
                              .folder = "/r/" + member,
                              .ticket = ticket,
                              .program = "tidemark 0",
                              .at = testing::test_time()};
    return {.mark = mark, .all_members = {"orders", "stock"}, .reports = {{member, report}}};
}

TEST(RestoreBookTest, ComesBack)
{
    TestStore store;
    RestoreBook book(store.storage, "shop");
    EXPECT_TRUE(book.open().empty());
    book.enlist(enlistment("orders", "t1"));
    book.change([](model::JointRestores& all) {
        auto& restore = all.restores.at(0);
        auto& line = restore.reports.at("orders");
        line.stage = model::JointStage::opened;
        line.text = "stopped\n\"there\"";
        line.backup = 3;
        line.bytes = 1U << 30;
        line.log_bytes = 17;
        line.target = line.reached = {.epoch = 2, .offset = 0x16B374D848};
        line.damaged = true;
        line.kept = 4;
        restore.decisions.push_back({.member = "orders",
                                     .gid = std::string("g\xff", 2),
                                     .global_id = "g",
                                     .commit = true,
                                     .by = "here"});
        restore.rows["orders"] = {"g", "h"};
        restore.rows["stock"] = {};
        restore.ended = testing::test_time();
        restore.given_up = true;
    });
    auto all = book.load();
    CommitHeader header{.number = 1, .lease = {}, .predecessor = {}, .nonce = "0"};
    auto bytes = golden_json("restores", encode_restores(all, header));
    EXPECT_EQ(decode_restores(bytes, {.key = "k"}).value, all);
    EXPECT_EQ(all.last, 1U);
    EXPECT_TRUE(book.open().empty());
}

/// Another host is faster: what it wrote is kept.
TEST(RestoreBookTest, TwoHostsAtOnceBeginOneRestore)
{
    TestStore store;
    RestoreBook book(store.storage, "shop"), other(store.storage, "shop");
    bool raced = false;
    book.change([&](model::JointRestores& all) {
        if (!std::exchange(raced, true)) other.enlist(enlistment("stock", "t2"));
        model::enlist(all, enlistment("orders", "t1"));
    });
    auto open = book.open();
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].reports.size(), 2U);
}

TEST(RestoreBookTest, ADamagedGenerationCostsItsReportsOnly)
{
    TestStore store;
    RestoreBook book(store.storage, "shop");
    book.enlist(enlistment("orders", "t1"));
    book.enlist(enlistment("stock", "t2"));
    store.storage.remove(restores_key("shop", 2));
    store::put(store.storage, restores_key("shop", 2), base::as_bytes("{}"));
    EXPECT_EQ(book.open().at(0).reports.size(), 1U);
    book.enlist(enlistment("stock", "t2"));
    EXPECT_EQ(book.open().at(0).reports.size(), 2U);
}

TEST(RestoreBookTest, WhatIsBeingRemovedIsNotBegun)
{
    TestStore store;
    auto lease = testing::take(store.storage, "expire");
    model::Tombstone value{.group = "shop"};
    value.commits = {mark_key("shop", 9)};
    Tombstones(store.storage, "shop").append(*lease, value);
    RestoreBook book(store.storage, "shop");
    EXPECT_THROW(book.enlist(enlistment("orders", "t1")), base::Error);
    EXPECT_TRUE(book.open().empty());
    book.enlist(enlistment("orders", "t1", 10));
    EXPECT_EQ(book.open().size(), 1U);
}

TEST(RestoreBookTest, ForgettingEndsItOnce)
{
    TestStore store;
    RestoreBook book(store.storage, "shop");
    auto number = book.enlist(enlistment("orders", "t1")).number;
    EXPECT_TRUE(book.forget(number, testing::test_time()));
    EXPECT_FALSE(book.forget(number, testing::test_time()));
    EXPECT_FALSE(book.forget(77, testing::test_time()));
    EXPECT_TRUE(book.open().empty());
    EXPECT_TRUE(book.load().restores.at(0).given_up);
    EXPECT_EQ(book.enlist(enlistment("orders", "t1")).number, number + 1);
}

TEST(RestoreBookTest, ForgettingWritesTheBookAnewWhereTheNewestIsDamaged)
{
    TestStore store;
    RestoreBook book(store.storage, "shop");
    auto number = book.enlist(enlistment("orders", "t1")).number;
    store::put(store.storage, restores_key("shop", 2), base::to_bytes("rot"));
    Unreadable unreadable;
    EXPECT_EQ(book.open(&unreadable).size(), 1U);
    EXPECT_TRUE(unreadable.contains(restores_key("shop", 2)));

    EXPECT_TRUE(book.forget(number + 1, testing::test_time())) << "it may be open there";
    unreadable.clear();
    EXPECT_EQ(book.open(&unreadable).size(), 1U) << "the one that is known goes on";
    EXPECT_TRUE(unreadable.empty());
    EXPECT_EQ(store.storage.list(restores_prefix("shop")).size(), 3U);
    EXPECT_FALSE(book.forget(number + 1, testing::test_time()));
    EXPECT_TRUE(book.forget(number, testing::test_time()));
}

} // namespace
} // namespace tidemark::repo
