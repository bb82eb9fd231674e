// A repository without room can be emptied: by the only command that may.

#include "job/expire_testing.h"

#include "base/error.h"
#include "store/faulty.h"

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;
using repo::KeyKind;

class ExpireFullStoreTest : public ExpireTest {
protected:
    ExpireFullStoreTest()
    {
        world.group().keep_days = 1;
        live(world, 3);
    }

    Context full()
    {
        auto context = world.context();
        return {.repository = repository,
                .engine = context.engine,
                .group = context.group,
                .progress = context.progress,
                .clock = context.clock,
                .stop = {},
                .compression_level = 1,
                .workers = 1,
                .command = "test",
                .host = "here"};
    }

    bool has_reserve() { return world.storage().stat(repo::reserve_key("shop")).has_value(); }

    World world;
    store::FaultyStorage store{
        std::shared_ptr<store::Storage>(std::shared_ptr<void>{}, &world.storage())};
    repo::Repository repository = repo::Repository::open(store);
};

TEST_F(ExpireFullStoreTest, WithoutAByteItBeginsWithItsReserve)
{
    expire(world.context(), options(world));
    EXPECT_TRUE(has_reserve());
    world.check_whole();
    live(world, 3);
    auto packs = count(world, KeyKind::pack);
    store.set_space(0);
    store.before(store::Operation::remove, [&](std::string_view key) {
        if (key == repo::reserve_key("shop")) store.set_space(1U << 20);
    });
    auto report = expire(full(), options(world));
    EXPECT_GT(report.removed, 0U);
    EXPECT_LT(count(world, KeyKind::pack), packs);
    EXPECT_FALSE(has_reserve()) << "there was no room for it again";
    check_good(world);

    store.heal();
    expire(full(), options(world));
    EXPECT_TRUE(has_reserve());
}

TEST_F(ExpireFullStoreTest, WithoutAReserveItSaysSo)
{
    store.set_space(0);
    try {
        expire(full(), options(world));
        FAIL() << "it had no room for its lease";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::out_of_space);
    }
}

TEST_F(ExpireFullStoreTest, WhatWasNamedGoesAlthoughNothingCanBeJoinedOrNamed)
{
    auto opts = options(world);
    opts.wait = false;
    EXPECT_EQ(expire(world.context(), opts).removed, 0U);
    for (int i = 0; i < 4; ++i) {
        world.clock().advance(1min);
        world.work();
        place_mark(world.context(), MarkOptions{});
    }
    world.clock().advance(2h);
    auto packs = count(world, KeyKind::pack);
    int refused = 0;
    store.before(store::Operation::create, [&](std::string_view key) {
        if (key.find("/log/") == key.npos) return;
        ++refused;
        throw base::Error{Code::out_of_space, "No space left on device"};
    });
    auto report = expire(full(), opts);
    EXPECT_GT(refused, 0);
    EXPECT_EQ(report.joined, 0U);
    EXPECT_GT(report.removed, 0U);
    EXPECT_LT(count(world, KeyKind::pack), packs);
    check_good(world);
}

TEST_F(ExpireFullStoreTest, WhatWasNamedGoesBeforeAnythingIsWritten)
{
    auto opts = options(world);
    opts.wait = false;
    expire(world.context(), opts);
    live(world, 2); // so that there is more to name
    auto packs = count(world, KeyKind::pack);
    world.storage().remove(repo::reserve_key("shop"));
    store.before(store::Operation::create, [](std::string_view key) {
        if (key.find("/leases/") == key.npos)
            throw base::Error{Code::out_of_space, "No space left on device"};
    });
    EXPECT_THROW(expire(full(), opts), base::Error) << "it could not name more";
    EXPECT_LT(count(world, KeyKind::pack), packs);
    check_good(world);
}

} // namespace
} // namespace tidemark::job
