#include "repo/intents.h"

#include "base/error.h"
#include "repo/layout.h"
#include "store/memory.h"

#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using namespace std::chrono_literals;

class IntentsTest : public ::testing::Test {
protected:
    static model::Intent intent()
    {
        return {
            .group = "shop",
            .command = "restore",
            .host = "here",
            .mark = 5,
            .reads = {{"orders", {.backups = {2, 4}, .log = {{1, 16, 4096}, {2, 4096, 8192}}}}}};
    }
    std::vector<StoredIntent> stored() { return list_intents(storage_, "shop"); }

    base::FakeClock clock_{*base::parse_time("2026-11-22T12:00:00Z")};
    store::MemoryStorage storage_{clock_};
};

TEST_F(IntentsTest, ComeBackAsTheyWere)
{
    auto one = intent();
    one.number = 7;
    one.token = "t";
    one.ttl = 24h;
    one.since = clock_.now();
    EXPECT_EQ(decode_intent(encode_intent(one), "key"), one);
    one.mark.reset();
    EXPECT_EQ(decode_intent(encode_intent(one), "key"), one);
    one.ttl = 25h;
    EXPECT_THROW(decode_intent(encode_intent(one), "key"), base::Error);
}

TEST_F(IntentsTest, AreInForceUntilWithdrawn)
{
    {
        auto announcement = Announcement::make(storage_, intent());
        ASSERT_EQ(stored().size(), 1U);
        EXPECT_TRUE(stored().front().in_force(clock_.now()));
        clock_.advance(23h);
        announcement->renew();
        EXPECT_EQ(stored().back().value.number, 2U);
        clock_.advance(23h);
        EXPECT_TRUE(stored().back().in_force(clock_.now()));
        announcement->renew();
        EXPECT_EQ(stored().size(), 2U) << "the one before the newest stays for whoever is listing";
    }
    ASSERT_EQ(stored().size(), 1U);
    EXPECT_TRUE(stored().front().value.over);
    EXPECT_EQ(stored().front().value.number, 4U);
}

TEST_F(IntentsTest, RunOutByThemselves)
{
    auto announcement = Announcement::make(storage_, intent(), {.ttl = 1h});
    clock_.advance(59min);
    EXPECT_TRUE(stored().front().in_force(clock_.now()));
    clock_.advance(1min);
    EXPECT_FALSE(stored().front().in_force(clock_.now()));
}

TEST_F(IntentsTest, SeveralReadersDoNotDisturbEachOther)
{
    auto first = Announcement::make(storage_, intent());
    auto second = Announcement::make(storage_, intent());
    first->renew();
    second.reset();
    std::size_t in_force = 0;
    for (const auto& one : stored())
        in_force += one.in_force(clock_.now()) ? 1U : 0U;
    EXPECT_GE(in_force, 1U);
    first.reset();
    for (const auto& one : stored())
        EXPECT_FALSE(one.in_force(clock_.now())) << one.key;
}

TEST_F(IntentsTest, ADamagedOneIsSeen)
{
    store::put(storage_, intent_key("shop", 9), base::to_bytes("nothing"));
    ASSERT_EQ(stored().size(), 1U);
    EXPECT_FALSE(stored().front().readable);
    EXPECT_TRUE(stored().front().in_force(clock_.now()));
    auto announcement = Announcement::make(storage_, intent());
    EXPECT_EQ(stored().back().value.number, 10U);
}

} // namespace
} // namespace tidemark::repo
