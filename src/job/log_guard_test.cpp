#include "job/log_guard.h"

#include "base/error.h"
#include "engine/fake/fake_session.h"
#include "job/leave.h"
#include "job/run.h"
#include "job/status.h"
#include "job/world_testing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using namespace std::chrono_literals;

/// By whose clusters the world's repository knows its members.
GuardedGroup guarded_group(World& world, const Context& context)
{
    return {.group = world.group(),
            .engine = context.engine,
            .progress = context.progress,
            .clock = context.clock,
            .stop = {},
            .clusters = [] {
                return KnownClusters{{"a", "70000000000000000a"}, {"b", "70000000000000000b"}};
            }};
}

class LogGuard : public ::testing::Test {
protected:
    /// As if the slot's bound were nearly reached at once.
    void drop_early() { world.group().log_guard = {.warn = 0.001, .drop = 0.001}; }

    World world;
    Context context = world.context();
    GuardedGroup guarded = guarded_group(world, context);
};

bool warned(const World& world, const std::string& beginning)
{
    return std::ranges::any_of(world.progress().warnings(),
                               [&](const auto& one) { return one.starts_with(beginning); });
}

/// Notes what the guard does in which order, and has a look at standbys of its own.
class NotingSession final : public engine::fake::FakeSession {
public:
    NotingSession(std::shared_ptr<engine::fake::FakeServer> server, std::vector<std::string>& order)
        : FakeSession(std::move(server)), order_(order)
    {
    }
    void set_deadline(std::chrono::steady_clock::time_point deadline) override
    {
        order_.emplace_back("deadline");
        FakeSession::set_deadline(deadline);
    }
    void drop_slot() override
    {
        order_.emplace_back("drop");
        FakeSession::drop_slot();
    }
    std::vector<engine::Standby> standbys(const engine::StandbyOrder&) override
    {
        order_.emplace_back("standbys");
        throw base::Error{Code::member_unreachable, "they hang", {.transient = true}};
    }

private:
    std::vector<std::string>& order_;
};

class NotingEngine final : public engine::Engine {
public:
    explicit NotingEngine(engine::fake::FakeEngine& fake) : fake_(fake) {}
    std::string name() const override { return fake_.name(); }
    std::unique_ptr<engine::Session> connect(const engine::MemberConfig& member) override
    {
        return std::make_unique<NotingSession>(fake_.server(member.name), order[member.name]);
    }
    std::unique_ptr<engine::RestoreTarget> open_target(const engine::TargetConfig& target) override
    {
        return fake_.open_target(target);
    }
    std::unique_ptr<engine::LogDecoder> open_decoder(const engine::DecoderStart& start) override
    {
        return fake_.open_decoder(start);
    }

    std::map<std::string, std::vector<std::string>> order = {{"a", {}}, {"b", {}}};

private:
    engine::fake::FakeEngine& fake_;
};

// A server whose log nobody takes: warn, then drop, and the next run heals it.
TEST_F(LogGuard, DropsTheSlotBeforeTheDiskIsFullAndTheNextRunHeals)
{
    world.group().log_guard = {.warn = 0.001, .drop = 0.9};
    world.server(0).noise(2U << 20);
    EXPECT_TRUE(relieve_servers(guarded).empty());
    EXPECT_TRUE(world.server(0).slot().exists);
    EXPECT_EQ(world.progress().warnings().size(), 1U);
    world.group().log_guard.drop = 0.0015;
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("a: THE LOG CHAIN IS BROKEN")) << dropped[0];
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
    EXPECT_TRUE(run_scheduled(world.context()).healed);
    world.group().log_guard.drop = std::nullopt;
    world.server(0).noise(4U << 20);
    EXPECT_TRUE(relieve_servers(guarded).empty());
}

TEST_F(LogGuard, ASlotOfAnotherClusterIsNotOurs)
{
    drop_early();
    for (std::size_t i : {0U, 1U})
        world.server(i).noise(4U << 20);
    world.server(1).change_system_id("7099");
    watch_held_log(guarded);
    EXPECT_EQ(world.progress().warnings().size(), 1U) << "that of the other cluster is not ours";
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("a: "));
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
    auto said = world.progress().warnings();
    auto left = std::ranges::find_if(said, [](const auto& one) {
        return one.find("b: the slot tidemark_shop there holds") == 0 &&
               one.find("its system identifier is 7099") != one.npos;
    });
    EXPECT_NE(left, said.end());
}

TEST_F(LogGuard, WithNothingToCompareWithNothingIsDropped)
{
    drop_early();
    world.server(0).noise(4U << 20);
    guarded.clusters = [] { return std::nullopt; };
    EXPECT_TRUE(relieve_servers(guarded).empty());
    guarded.clusters = [] { return KnownClusters{}; };
    EXPECT_TRUE(relieve_servers(guarded).empty());
    EXPECT_TRUE(world.server(0).slot().exists);
    EXPECT_EQ(world.progress().warnings().size(), 2U);
}

TEST_F(LogGuard, EverySlotThatIsDroppedIsToldAtOnce)
{
    drop_early();
    for (std::size_t i : {0U, 1U})
        world.server(i).noise(4U << 20);
    std::vector<std::string> told;
    guarded.dropped = [&](const std::string& sentence) { told.push_back(sentence); };
    auto dropped = relieve_servers(guarded);
    std::ranges::sort(told);
    EXPECT_EQ(told.size(), 2U);
    EXPECT_EQ(told, dropped);
}

// Each wait for a server that hangs is as long as a mark's: one is enough.
TEST_F(LogGuard, NobodyWaitsTwiceForWhoDoesNotAnswer)
{
    world.group().mark_wait = 2s;
    int connects = 0;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "connect") return;
        ++connects;
        world.clock().advance(2100ms);
        throw base::Error{Code::member_unreachable, "no connection", {.transient = true}};
    });
    watch_held_log(guarded);
    EXPECT_TRUE(guarded.absent->has("b"));
    auto before = world.server(0).slot().restart;
    world.server(0).noise(200'000);
    try {
        run_scheduled(context, *guarded.absent);
        ADD_FAILURE() << "a mark without b";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), Code::mark_not_placed);
        EXPECT_NE(std::string(error.what()).find("member b: no connection"), std::string::npos);
    }
    EXPECT_GT(world.server(0).slot().restart, before) << "the log of who answers is taken";
    relieve_servers(guarded);
    EXPECT_TRUE(warned(world, "b: log is not being backed up, and the log guard cannot look"));
    auto status = read_status(context, world.view(), {.absent = guarded.absent->all()});
    EXPECT_FALSE(status.members[1].error.empty());
    EXPECT_EQ(connects, 1);
}

// SQL answers, the log stream does not: just that fills the disk.
TEST_F(LogGuard, AMemberWhoseLogStreamHangsIsRelieved)
{
    drop_early();
    world.server(1).noise(4U << 20);
    watch_held_log(guarded);
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "next") return;
        world.clock().advance(2100ms); // longer than what is tried again
        throw base::Error{Code::member_unreachable, "it sent nothing", {.transient = true}};
    });
    EXPECT_THROW(run_scheduled(context, *guarded.absent), base::Error);
    EXPECT_FALSE(guarded.absent->has("b")) << "it answers";
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("b: THE LOG CHAIN IS BROKEN")) << dropped[0];
    EXPECT_FALSE(world.server(1).slot().exists);
}

// Nor does it matter what kept others waiting: only who was not reached is not asked again.
TEST_F(LogGuard, AMemberThatWasReachedIsAskedAgain)
{
    drop_early();
    world.group().mark_wait = 10ms;
    world.server(1).noise(4U << 20);
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "slot") return;
        world.clock().advance(20ms);
        throw base::Error{Code::member_unreachable, "no answer", {.transient = true}};
    });
    watch_held_log(guarded);
    EXPECT_TRUE(guarded.absent->has("b"));
    EXPECT_FALSE(guarded.unreached->has("b"));
    EXPECT_TRUE(relieve_servers(guarded).empty());
    EXPECT_TRUE(warned(world, "b: log is not being backed up, and the log guard cannot look"));
    world.server(1).on_operation({});
    EXPECT_EQ(relieve_servers(guarded).size(), 1U);
    EXPECT_FALSE(world.server(1).slot().exists);
}

// A due full backup shall not be missed for a failure that a mark would have waited out.
TEST_F(LogGuard, WhoFailsSoonerThanAMarkIsNotAbsent)
{
    world.group().mark_wait = 10s;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "connect") return;
        world.clock().advance(2100ms);
        throw base::Error{Code::member_unreachable, "no connection", {.transient = true}};
    });
    watch_held_log(guarded);
    EXPECT_FALSE(guarded.absent->has("b"));
    EXPECT_FALSE(guarded.unreached->has("b"));
    world.server(1).on_operation({});
    EXPECT_NO_THROW(run_scheduled(context, *guarded.absent));
}

TEST_F(LogGuard, ThePrimarysSlotGoesFirstAndTheStandbysHaveTheirOwnTime)
{
    NotingEngine engine(world.engine());
    guarded.engine = [&](const model::MemberSpec&) -> engine::Engine& { return engine; };
    world.group().log_guard = {.warn = 0.001, .drop = 0.001};
    world.server(0).noise(4U << 20);
    EXPECT_EQ(relieve_servers(guarded).size(), 1U);
    std::vector<std::string> due = {"deadline", "deadline", "drop", "deadline", "standbys"};
    EXPECT_EQ(engine.order["a"], due);
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(warned(world, "a: the log guard cannot look at our slots on its standbys"));
}

TEST_F(LogGuard, ADropThatFailsIsToldAndOneThatIsTooEarlyTriedAgain)
{
    drop_early();
    for (std::size_t i : {0U, 1U})
        world.server(i).noise(4U << 20);
    world.server(0).fail("drop_slot", {Code::member_unreachable, "no answer", {.transient = true}});
    world.server(1).fail("drop_slot", {Code::member_not_ready, "in use", {.transient = true}});
    auto dropped = relieve_servers(guarded);
    ASSERT_EQ(dropped.size(), 1U);
    EXPECT_TRUE(dropped[0].starts_with("b: "));
    EXPECT_TRUE(world.server(0).slot().exists);
    auto said = world.progress().warnings();
    auto told = std::ranges::find_if(said, [](const auto& one) {
        return one.starts_with("a: OUR SLOT HOLDS ") &&
               one.find("AND COULD NOT BE DROPPED (log_guard.drop): no answer; drop "
                        "tidemark_shop there") != one.npos;
    });
    EXPECT_NE(told, said.end());
}

/// For what another thread brings about.
void wait_until_so(const std::function<bool()>& so)
{
    auto patience = std::chrono::steady_clock::now() + 10s;
    while (!so() && std::chrono::steady_clock::now() < patience)
        std::this_thread::yield();
    EXPECT_TRUE(so());
}

// The copying of a large member does not notice that another one is down.
TEST_F(LogGuard, AMemberThatGoesDownWhileOthersAreCopiedDoesNotStopTheirLog)
{
    world.group().mark_every = 10ms;
    guarded.warned = std::make_shared<std::set<std::string>>();
    repo::Backups of_a(world.storage(), {"shop", "a"});
    auto number = of_a.next_number();
    std::atomic<bool> held = false;
    std::atomic<int> looks = 0;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "copy" || held.exchange(true)) return;
        wait_until_so([&] { return of_a.next_number() != number; });
        world.server(0).set_unreachable(true);
        auto before = world.server(1).slot().restart;
        world.server(1).noise(200'000);
        wait_until_so([&] { return looks >= 4 && world.server(1).slot().restart > before; });
        world.server(0).set_unreachable(false);
    });
    BackupOptions options;
    options.log_fails = [&](int in_a_row) {
        auto now = guarded;
        now.lasting = in_a_row >= 3;
        relieve_servers(now);
        ++looks;
        return false;
    };
    back_up_group(context, options);
    auto said = world.progress().warnings();
    auto times = [&](const std::string& beginning) {
        return std::ranges::count_if(said,
                                     [&](const auto& one) { return one.starts_with(beginning); });
    };
    EXPECT_EQ(times("a: log is not being backed up, and the log guard cannot look"), 1);
    EXPECT_EQ(times("no log backup while the full backup runs: "), 1) << "not one a minute";
    EXPECT_TRUE(world.server(1).slot().exists);
    world.check_whole();
}

TEST_F(LogGuard, OneTurnThatFailsBesideABackupIsNoWarning)
{
    world.group().mark_every = 10ms;
    repo::Backups of_a(world.storage(), {"shop", "a"});
    auto number = of_a.next_number();
    std::atomic<bool> held = false;
    std::atomic<int> looks = 0;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation != "copy" || held.exchange(true)) return;
        wait_until_so([&] { return of_a.next_number() != number; });
        world.server(0).set_unreachable(true);
        wait_until_so([&] { return looks >= 1; });
    });
    BackupOptions options;
    options.log_fails = [&](int in_a_row) {
        auto now = guarded;
        now.lasting = in_a_row >= 3;
        relieve_servers(now);
        world.server(0).set_unreachable(false);
        ++looks;
        return false;
    };
    back_up_group(context, options);
    EXPECT_EQ(looks, 1);
    EXPECT_TRUE(world.progress().warnings().empty()) << world.progress().warnings().front();
}

TEST_F(LogGuard, WhoWasToldToStopBreaksNoChain)
{
    drop_early();
    world.group().mark_every = 10ms;
    std::stop_source stop;
    auto stoppable = context;
    stoppable.stop = stop.get_token();
    std::atomic<bool> held = false, failed = false;
    std::atomic<int> looks = 0;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation == "next" && held) {
            stop.request_stop();
            failed = true;
            throw base::Error{Code::failed, "the stream broke"};
        }
        if (operation != "copy" || held.exchange(true)) return;
        world.server(1).noise(4U << 20);
        wait_until_so([&] { return failed.load(); });
    });
    BackupOptions options;
    options.log_fails = [&](int) {
        ++looks;
        return false;
    };
    EXPECT_THROW(back_up_group(stoppable, options), base::Error);
    EXPECT_EQ(looks, 0);
    EXPECT_TRUE(world.server(1).slot().exists);
}

TEST_F(LogGuard, ActsWhileAFullBackupCopies)
{
    drop_early();
    world.group().full = model::parse_schedule("daily 02:00").value();
    world.group().mark_every = 100ms;
    world.clock().advance(24h);
    std::atomic<bool> held = false;
    world.server(1).on_operation([&](const std::string& operation) {
        if (operation == "next" && held) throw base::Error{Code::failed, "the stream broke"};
        if (operation != "copy" || held.exchange(true)) return;
        world.server(1).noise(4U << 20);
        wait_until_so([&] { return !world.server(1).slot().exists; });
    });
    auto fails = [&](int) { return !relieve_servers(guarded).empty(); };
    EXPECT_THROW(run_scheduled(context, *guarded.absent, fails), base::Error);
    EXPECT_TRUE(warned(world, "b: THE LOG CHAIN IS BROKEN"));
    EXPECT_TRUE(world.server(0).slot().exists);
    world.server(1).on_operation({});
    world.group().mark_every = 1min;
    EXPECT_TRUE(run_scheduled(context).backup.has_value()) << "at once, as the warning says";
    world.check_whole();
}

TEST(Leave, DropsNothingAtAnotherCluster)
{
    World world;
    world.server(1).change_system_id("7099");
    auto left = drop_slots(world.context());
    ASSERT_EQ(left.size(), 2U);
    EXPECT_FALSE(left[0].other_cluster);
    EXPECT_TRUE(left[0].problem.empty());
    EXPECT_TRUE(left[1].other_cluster);
    EXPECT_NE(left[1].problem.find("7099"), std::string::npos) << left[1].problem;
    EXPECT_FALSE(world.server(0).slot().exists);
    EXPECT_TRUE(world.server(1).slot().exists);
}

TEST_F(LogGuard, TheNearerEndCounts)
{
    engine::SlotState slot;
    slot.exists = true;
    slot.held_bytes = 400;
    slot.bound_bytes = 1000;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0.4);
    slot.disk_free = 100;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0.8);
    slot.bound_bytes = std::nullopt;
    slot.disk_free = std::nullopt;
    EXPECT_DOUBLE_EQ(log_pressure(slot).share, 0);
    model::LogGuard policy{.warn = 0.5, .drop = 0.9};
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.49, .where = ""}), GuardAction::none);
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.5, .where = ""}), GuardAction::warn);
    EXPECT_EQ(guard_action(policy, slot, {.share = 0.9, .where = ""}), GuardAction::drop);
    slot.lost = true;
    EXPECT_EQ(guard_action(policy, slot, {.share = 2, .where = ""}), GuardAction::none);
}

} // namespace
} // namespace tidemark::job
