#include "job/group_log.h"

#include "job/audit.h"
#include "job/reindex.h"
#include "job/world_testing.h"

#include <atomic>
#include <map>
#include <stop_token>

namespace tidemark::job {
namespace {

/// What a screen would show at the end of each stage.
class Screen final : public Progress {
public:
    struct Row {
        std::uint64_t total = 0;
        std::uint64_t done = 0;
    };
    void stage(std::string_view who, std::string_view what, std::uint64_t total) override
    {
        std::lock_guard lock(mutex_);
        now_[std::string(who)] = what;
        rows_[std::string(what) + " of " + std::string(who)] = {.total = total};
    }
    void advance(std::string_view who, std::uint64_t done) override
    {
        std::lock_guard lock(mutex_);
        auto name = std::string(who);
        rows_[now_[name] + " of " + name].done = done;
    }
    void finished(std::string_view) override {}
    void note(std::string_view) override { ++notes_; }
    void warn(std::string_view) override {}
    int notes() const { return notes_; }
    Row row(const std::string& name)
    {
        std::lock_guard lock(mutex_);
        return rows_[name];
    }

private:
    std::mutex mutex_;
    std::map<std::string, std::string> now_;
    std::map<std::string, Row> rows_;
    std::atomic<int> notes_ = 0;
};

TEST(GroupLogTest, HowMuchLogIsStillToComeIsShown)
{
    World world;
    back_up_log(world.context());
    world.server(0).noise(200'000);
    Screen screen;
    auto quiet = world.context();
    back_up_log(quiet.telling(screen));
    auto row = screen.row("receive log of a");
    EXPECT_GE(row.total, 200'000U);
    EXPECT_GE(row.done, row.total);
    EXPECT_LT(screen.row("receive log of b").total, 100'000U);
}

TEST(GroupLogTest, NobodyIsToldThatAJobWaitsForItself)
{
    World world;
    Screen screen;
    std::stop_source stop;
    stop.request_stop(); // what waits, ends at once
    auto quiet = world.context();
    auto context = quiet.telling(screen);
    context.stop = stop.get_token();
    auto wait_for = [&](const repo::LeaseOwner& owner) {
        auto lease = repo::Lease::acquire(world.storage(), "shop", "log", owner, {.renew = false});
        EXPECT_THROW(GroupLog log(context, std::chrono::hours{1}), base::Error);
    };
    auto owner = context.owner();
    wait_for(owner); // as the closing mark does for one that was placed beside its backup
    EXPECT_EQ(screen.notes(), 0);
    owner.command = "mark";
    wait_for(owner);
    EXPECT_EQ(screen.notes(), 1);
}

TEST(GroupLogTest, DecodingIsShownToo)
{
    World world;
    world.server(0).noise(200'000);
    auto mark = place_mark(world.context(), MarkOptions{}).mark;
    Screen screen;
    auto quiet = world.context();
    EXPECT_TRUE(audit_mark(quiet.telling(screen), repo::mark_id(mark.number())).good());
    auto row = screen.row("decode log of a");
    EXPECT_GE(row.total, 200'000U);
    EXPECT_GE(row.done, row.total);
    reindex(quiet.telling(screen));
    row = screen.row("index log of a");
    EXPECT_GE(row.total, 200'000U);
    EXPECT_EQ(row.done, row.total);
}

// rule 2
TEST(GroupLogTest, AMarkIsVisibleOnlyWithTheLogUpToItsBound)
{
    World world;
    bool placed = false;
    bool written = false;
    world.server(0).on_operation([&](const std::string& operation) {
        if (operation == "place_restore_point") placed = true;
        if (operation != "insert_position" || !placed || written) return;
        written = true;
        world.server(0).noise(200'000); // so e lies far behind the restore point
    });
    auto mark = place_mark(world.context(), MarkOptions{}).mark;
    world.server(0).on_operation({});
    ASSERT_TRUE(written);
    const auto& a = mark.value.members[0];
    ASSERT_GE(a.e, a.r_end + 200'000);
    auto end =
        repo::LogCatalog::load(world.storage(), {"shop", "a"}).durable_end(model::History(1));
    ASSERT_TRUE(end);
    EXPECT_GE(end->offset, a.e);
    EXPECT_GE(a.log_end, a.e);
    EXPECT_EQ(repo::newest_restorable(world.view()), mark.number());
}

} // namespace
} // namespace tidemark::job
