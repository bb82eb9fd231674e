// Retention beside those who read.

#include "job/expire_testing.h"
#include "job/reading.h"

#include <algorithm>
#include <set>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;
using repo::KeyKind;

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

} // namespace
} // namespace tidemark::job
