// One damaged object ends no command that can do without it; it is named, and the work goes on.

#include "job/audit.h"
#include "job/expire.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/identities.h"
#include "repo/layout.h"
#include "repo/runs.h"
#include "repo/tombstones.h"

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;

std::optional<Code> refused(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        EXPECT_TRUE(error.code() != Code::usage || !error.hint().empty()) << error.what();
        return error.code();
    }
    return std::nullopt;
}

class DamageTest : public ::testing::Test {
protected:
    DamageTest()
    {
        base::log_setup({.level = base::LogLevel::warning, .sink = [this](std::string_view line) {
                             log_ += std::string(line) + "\n";
                         }});
        world_.work();
        newest_ = place_mark(world_.context(), {.name = "newest"}).mark.number();
        world_.work();
    }

public:
    ~DamageTest() override { base::log_setup({.level = base::LogLevel::off}); }

protected:
    void damage(const std::string& key)
    {
        auto bytes = store::get(world_.storage(), key, 1U << 20);
        ASSERT_TRUE(bytes) << key;
        auto rotten = *bytes;
        rotten[rotten.size() / 2] ^= std::byte{0x80};
        rotten[rotten.size() / 3] ^= std::byte{0x80};
        world_.storage().remove(key);
        ASSERT_EQ(store::put(world_.storage(), key, rotten), store::Created::yes);
        key_ = key;
    }
    bool named() const { return log_.find(key_) != std::string::npos; }

    World world_;
    std::string log_;
    std::string key_;
    model::Number newest_ = 0;
};

TEST_F(DamageTest, TheNewestMark)
{
    damage(repo::mark_key("shop", newest_));
    auto after = place_mark(world_.context(), {.name = "after"});
    EXPECT_TRUE(named()) << log_;
    EXPECT_EQ(after.mark.number(), newest_ + 1);
    EXPECT_EQ(after.mark.value.previous, repo::mark_id(newest_ - 1));
    EXPECT_TRUE(after.mark.value.violations.empty());
    EXPECT_TRUE(audit_mark(world_.context(), "after").good());
    repo::Marks marks(world_.storage(), "shop");
    EXPECT_EQ(marks.need("latest").number(), newest_ + 1);
    EXPECT_FALSE(marks.find(repo::parse_mark_selector("newest")));
    EXPECT_EQ(refused([&] { marks.need(repo::mark_id(newest_)); }), Code::not_restorable);
}

TEST_F(DamageTest, TheOnlyMarksThereAre)
{
    damage(repo::mark_key("shop", newest_));
    damage(repo::mark_key("shop", newest_ - 1));
    auto after = place_mark(world_.context(), {.name = "after"});
    EXPECT_FALSE(after.mark.value.previous);
    EXPECT_TRUE(audit_mark(world_.context(), "after").good());
}

TEST_F(DamageTest, TheNewestSet)
{
    repo::Sets sets(world_.storage(), "shop");
    damage(repo::set_key("shop", sets.numbers().back()));
    auto after = place_mark(world_.context(), {.name = "after"});
    EXPECT_TRUE(named()) << log_;
    EXPECT_EQ(sets.latest()->number(), after.set.number());
    EXPECT_EQ(sets.list().size(), after.set.number() - 1);
}

TEST_F(DamageTest, TheNewestIdentity)
{
    model::MemberId id{"shop", "a"};
    repo::Identities identities(world_.storage(), id);
    auto lease = repo::Lease::acquire(world_.storage(), "shop", "log",
                                      repo::LeaseOwner::this_process("test"), {});
    auto again = identities.append(lease.get(), identities.latest()->value);
    lease.reset();
    damage(again.object.key);
    EXPECT_NO_THROW(place_mark(world_.context(), {.name = "after"}));
    EXPECT_TRUE(named()) << log_;
}

TEST_F(DamageTest, TheNewestBackup)
{
    repo::Backups backups(world_.storage(), {"shop", "a"});
    damage(backups.list(1).front().object.key);
    EXPECT_NO_THROW(back_up_group(world_.context(), {}));
    EXPECT_TRUE(named()) << log_;
    EXPECT_EQ(backups.list().size(), 1U);
}

TEST_F(DamageTest, ARun)
{
    repo::Runs runs(world_.storage(), "shop");
    model::Run run;
    run.group = "shop";
    run.command = "mark";
    damage(runs.append(run).object.key);
    runs.append(run);
    EXPECT_EQ(runs.list().size(), 1U);
    EXPECT_TRUE(named()) << log_;
}

TEST_F(DamageTest, ATombstone)
{
    using namespace std::chrono_literals;
    world_.clock().advance(72h);
    back_up_group(world_.context(), {});
    world_.clock().advance(72h);
    place_mark(world_.context(), {});
    world_.group().keep_days = 1;
    ExpireOptions options;
    options.wait = false;
    options.grace = options.settle;
    EXPECT_GT(expire(world_.context(), options).condemned, 0U);
    damage(repo::Tombstones(world_.storage(), "shop").list().at(0).object.key);
    world_.clock().advance(3min);
    EXPECT_EQ(expire(world_.context(), options).removed, 0U) << "named a moment ago only";
    EXPECT_TRUE(named()) << log_;
    world_.clock().advance(3min);
    EXPECT_GT(expire(world_.context(), options).removed, 0U);
    EXPECT_TRUE(repo::newest_restorable(world_.view()));
}

TEST(MarkNameTest, IsUniqueAndFitsARestorePoint)
{
    World world;
    place_mark(world.context(), {.name = "friday"});
    world.work();
    auto before = world.server(0).insert_position();
    for (const std::string name : {"friday", "latest", "12", "m-3", "2026-11-22T12:00:00Z"}) {
        EXPECT_EQ(refused([&] { place_mark(world.context(), {.name = name}); }), Code::usage)
            << name;
        EXPECT_EQ(refused([&] { back_up_group(world.context(), {.mark_name = name}); }),
                  Code::usage)
            << name;
    }
    std::string longest(54, 'x'); // and '.' and eight digits
    EXPECT_EQ(refused([&] { place_mark(world.context(), {.name = longest + "x"}); }), Code::usage);
    EXPECT_EQ(world.server(0).insert_position(), before) << "something was placed";
    auto fits = place_mark(world.context(), {.name = longest});
    EXPECT_EQ(fits.mark.value.restore_point.size(), 63U);
}

TEST(MarkNameTest, OfTwoJobsThatWantItOneGetsIt)
{
    World world;
    place_mark(world.context(), {.name = "before"});
    world.work();
    // Both have looked before either has the lease; the second looks again when it is its turn.
    auto first = world.context();
    GroupLog log(first);
    log.open();
    log.catch_up();
    place_mark(first, log, {.name = "twice"});
    auto before = world.server(0).insert_position();
    EXPECT_EQ(refused([&] { place_mark(first, log, {.name = "twice"}); }), Code::usage);
    EXPECT_EQ(world.server(0).insert_position(), before);
    EXPECT_EQ(refused([&] { GroupLog second(first); }), Code::lease_held);
    log.finish();
}

TEST(MarkNameTest, ABackupThatLosesItsNameKeepsItsWork)
{
    World world;
    bool placed = false;
    world.server(0).on_operation([&](const std::string& operation) {
        if (operation != "finish_backup" || placed) return;
        placed = true;
        place_mark(world.context(), {.name = "weekly"});
    });
    auto outcome = back_up_group(world.context(), {.mark_name = "weekly"});
    EXPECT_TRUE(placed);
    EXPECT_EQ(outcome.closing.mark.value.name, "");
    auto warnings = world.progress().warnings();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings.front().find("weekly"), std::string::npos);
}

} // namespace
} // namespace tidemark::job
