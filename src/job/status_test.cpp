#include "job/status.h"

#include "base/error.h"
#include "job/group_log.h"
#include "job/log_checks.h"
#include "job/log_guard.h"
#include "job/run.h"
#include "job/world_testing.h"
#include "model/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

std::vector<std::string> names_of_checks(World& world, std::size_t member)
{
    auto context = world.context();
    auto session = connect(context, world.group().members[member]);
    auto view = world.view();
    std::vector<std::string> names;
    for (const auto& check :
         check_stored_log(world.storage(), view.members.at(world.group().members[member].name),
                          *session, {{.name = "slot", .cause = "", .fix = ""}}))
        names.push_back(check.name);
    return names;
}

TEST(Status, ARunThatDiedWhileItHealedLeavesABrokenChain)
{
    World world;
    EXPECT_FALSE(read_status(world.context(), world.view(), {}).needs_attention());
    world.server(0).noise(400'000); // several segments that nobody stored
    world.server(0).lose_slot();
    world.server(0).fail("copy", Error{Code::cancelled, "killed"});
    EXPECT_THROW(run_scheduled(world.context()), Error);
    auto status = read_status(world.context(), world.view(), {});
    EXPECT_TRUE(status.is_restorable());
    EXPECT_TRUE(status.members[0].slot.exists);
    EXPECT_TRUE(status.members[0].chain_broken) << status.members[0].chain;
    EXPECT_THAT(status.members[0].chain, HasSubstr("gap "));
    EXPECT_FALSE(status.members[1].chain_broken) << status.members[1].chain;
    EXPECT_TRUE(status.needs_attention());
    EXPECT_THAT(names_of_checks(world, 0), testing::ElementsAre("slot", "chain"));
    EXPECT_THAT(names_of_checks(world, 1), testing::ElementsAre("slot"));

    world.wait_for_leases();
    EXPECT_TRUE(run_scheduled(world.context()).backup.has_value());
    status = read_status(world.context(), world.view(), {});
    EXPECT_FALSE(status.members[0].chain_broken) << status.members[0].chain;
    EXPECT_THAT(names_of_checks(world, 0), testing::ElementsAre("slot"));
}

TEST(Status, WhyTheNextRunTakesAFullBackupIsTold)
{
    World world;
    world.group().full = model::parse_schedule("daily 02:00").value();
    auto status = read_status(world.context(), world.view(), {});
    EXPECT_EQ(status.full_due, "");
    ASSERT_TRUE(status.next_full);
    world.clock().advance(24h);
    // Its time has come, and the schedule's next one is another.
    status = read_status(world.context(), world.view(), {});
    EXPECT_THAT(status.full_due, HasSubstr("it was due at"));
    EXPECT_GT(*status.next_full, status.now);
    run_scheduled(world.context());
    EXPECT_EQ(read_status(world.context(), world.view(), {}).full_due, "");
}

TEST(Status, AFullBackupThatIsBeingTakenIsTold)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {}); };
    EXPECT_FALSE(look().full_running);
    auto begun = world.clock().now();
    auto first = repo::Lease::acquire(world.storage(), "shop", "backup/b", world.context().owner(),
                                      {.ttl = 60s, .renew = false});
    world.clock().advance(10s);
    auto second = repo::Lease::acquire(world.storage(), "shop", "backup/a", world.context().owner(),
                                       {.ttl = 60s, .renew = false});
    auto running = look().full_running;
    ASSERT_TRUE(running);
    EXPECT_EQ(running->since, begun);
    EXPECT_EQ(running->owner.command, "test");
    first->release();
    ASSERT_TRUE(look().full_running) << "one member is still being copied";
    world.wait_for_leases();
    EXPECT_FALSE(look().full_running) << "whoever took it is gone";
}

TEST(Status, ASlotThatStandsBehindTheStoredLogIsABrokenChain)
{
    World world;
    auto context = world.context();
    auto session = connect(context, world.group().members[0]);
    session->drop_slot();
    world.server(0).noise(400'000);
    session->create_slot(); // by hand: no identity records it
    auto view = world.view();
    auto status = read_status(context, view, {});
    EXPECT_TRUE(status.members[0].chain_broken) << status.members[0].chain;
    EXPECT_TRUE(status.needs_attention());
    EXPECT_THAT(names_of_checks(world, 0), testing::ElementsAre("slot", "slot_position"));
}

TEST(Status, AJobThatMovesTheSlotMeanwhileIsNoGap)
{
    World world;
    auto before = world.view();
    world.server(0).noise(400'000);
    back_up_log(world.context());
    auto status = read_status(world.context(), before, {});
    EXPECT_FALSE(status.members[0].chain_broken) << status.members[0].chain;
    EXPECT_FALSE(status.needs_attention());
}

TEST(Status, AnotherClusterIsNamedAndNothingElseIsToldOfIt)
{
    World world;
    world.server(1).change_system_id("7099");
    auto status = read_status(world.context(), world.view(), {});
    const auto& member = status.members[1];
    EXPECT_TRUE(member.other_cluster);
    EXPECT_FALSE(member.identity);
    EXPECT_THAT(member.error, HasSubstr("system identifier is 7099"));
    EXPECT_TRUE(status.needs_attention());
    EXPECT_FALSE(status.members[0].other_cluster);
    EXPECT_THAT(names_of_checks(world, 1), testing::ElementsAre("identity"));
    try {
        run_scheduled(world.context());
        ADD_FAILURE() << "it was backed up";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::identity_mismatch);
        EXPECT_THAT(error.what(), HasSubstr("member b: this is not the database"));
        EXPECT_THAT(error.what(), Not(HasSubstr("member b: member b")));
    }
}

void record(World& world, const std::string& command, int exit)
{
    model::Run run;
    run.group = "shop";
    run.command = command;
    run.host = "here";
    run.started = run.ended = world.clock().now();
    run.exit_code = exit;
    if (exit == 0) run.set = 1;
    if (exit != 0) run.error = model::RunError{.code = "failed", .message = "no disk", .hint = ""};
    repo::Runs(world.storage(), "shop").append(run);
}

TEST(Status, WithoutAnObjectiveTheRhythmOfTheRunsSaysWhatIsOld)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {.ask_members = false}); };
    world.clock().advance(23h);
    EXPECT_FALSE(look().needs_attention()) << "nothing is known of its rhythm";
    world.clock().advance(2h);
    EXPECT_TRUE(look().is_late());
    EXPECT_TRUE(look().needs_attention());

    for (int i = 0; i < 5; ++i) {
        world.clock().advance(2h);
        record(world, "run", 0);
    }
    place_mark(world.context(), {});
    world.clock().advance(5h);
    EXPECT_FALSE(look().needs_attention());
    world.clock().advance(2h);
    EXPECT_TRUE(look().is_late()) << "more than three times two hours";
    EXPECT_EQ(look().rhythm->limit, base::Duration{6h});

    world.group().objective.lose_at_most = 8h;
    EXPECT_FALSE(look().rhythm);
    EXPECT_FALSE(look().needs_attention()) << "the objective is what counts";
}

// What was mistyped at a terminal was told there; the crontab's command tells nobody else.
TEST(Status, AMistakeAtTheTerminalIsNoFailedRun)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {.ask_members = false}); };
    record(world, "mark", 0);
    for (const char* command : {"mark", "backup", "log"})
        record(world, command, 2);
    record(world, "mark", 31); // --at 2020-01-01
    EXPECT_FALSE(look().needs_attention());
    EXPECT_EQ(look().last_run->value.exit_code, 0);
    record(world, "mark", 22);
    record(world, "mark", 2);
    EXPECT_EQ(look().failed_run->value.exit_code, 22);
    record(world, "mark", 0);
    record(world, "run", 2);
    EXPECT_TRUE(look().needs_attention());
    record(world, "run", 0);
    record(world, "run", 31);
    EXPECT_TRUE(look().needs_attention());
}

TEST(Status, ARunThatWasKilledIsToldBeforeAndAfterItIsRecorded)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {.ask_members = false}); };
    auto dead = repo::LeaseOwner::this_process("run");
    ++dead.pid_start;
    auto trace = repo::leave_trace(world.storage(), "shop", dead, {.renew = false});
    auto status = look();
    ASSERT_EQ(status.broken_off.size(), 1U);
    EXPECT_EQ(status.broken_off_lately, 1U);
    EXPECT_TRUE(status.needs_attention());

    repo::record_broken_off(world.storage(), "shop", repo::LeaseOwner::this_process("run"));
    status = look();
    EXPECT_TRUE(status.broken_off.empty());
    EXPECT_EQ(status.broken_off_lately, 1U);
    ASSERT_TRUE(status.failed_run);
    EXPECT_TRUE(status.failed_run->value.broken_off);
    record(world, "run", 0);
    EXPECT_FALSE(look().needs_attention());
    EXPECT_EQ(look().broken_off_lately, 1U);
}

TEST(Status, AFailedRunIsToldUntilOneMadeItGood)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {.ask_members = false}); };
    record(world, "run", 11);
    EXPECT_FALSE(look().needs_attention()) << "another one was at work";
    record(world, "run", 13);
    ASSERT_TRUE(look().failed_run);
    EXPECT_EQ(look().failed_run->value.exit_code, 13);
    EXPECT_TRUE(look().needs_attention());
    record(world, "mark", 0);
    EXPECT_TRUE(look().failed_run) << "a mark is not all that a run does";
    EXPECT_EQ(look().last_run->value.command, "mark");
    record(world, "expire", 1);
    EXPECT_EQ(look().last_run->value.command, "mark");
    record(world, "run", 0);
    EXPECT_FALSE(look().needs_attention());
    record(world, "mark", 22);
    EXPECT_TRUE(look().needs_attention());
    record(world, "run", 0);
    EXPECT_FALSE(look().needs_attention());
}

std::vector<std::string> reasons(const GroupStatus& status)
{
    std::vector<std::string> out;
    for (const auto& reason : status.attention())
        out.push_back(reason.name);
    return out;
}

TEST(Status, EveryReasonToLookIsNamed)
{
    World world;
    auto look = [&] { return read_status(world.context(), world.view(), {}); };
    EXPECT_THAT(reasons(look()), testing::IsEmpty());
    connect(world.context(), world.group().members[0])->drop_slot();
    auto status = look();
    EXPECT_THAT(reasons(status), testing::ElementsAre("no slot"));
    EXPECT_EQ(status.attention()[0].member, "a");
    EXPECT_TRUE(status.members[0].chain_broken);
    EXPECT_THAT(status.members[0].chain, HasSubstr("broken: no slot, log since "));
    world.server(1).lose_slot();
    status = look();
    EXPECT_THAT(reasons(status), testing::ElementsAre("no slot", "slot lost"));
    EXPECT_THAT(status.members[1].chain, HasSubstr("broken: slot lost, log since "));
    record(world, "run", 13);
    world.group().objective.lose_at_most = 1h;
    world.clock().advance(2h);
    EXPECT_THAT(reasons(look()), testing::IsSupersetOf({"no slot", "slot lost", "last run failed",
                                                        "missed objective"}));
    world.server(0).set_unreachable(true);
    EXPECT_THAT(reasons(look()), testing::Contains("no answer"));
}

TEST(Status, LogThatPilesUpBehindTheSlotWantsEyes)
{
    World world;
    auto checked = [&] {
        auto session = connect(world.context(), world.group().members[0]);
        auto checks = session->check();
        check_held_log(world.group().log_guard, session->slot(), checks);
        return checks.at(0);
    };
    world.server(0).noise(2U << 20); // of a bound of 1 GiB
    EXPECT_THAT(reasons(read_status(world.context(), world.view(), {})), testing::IsEmpty());
    EXPECT_EQ(checked().state, engine::CheckState::ok);
    world.group().log_guard.warn = 0.001;
    auto status = read_status(world.context(), world.view(), {});
    EXPECT_THAT(reasons(status), testing::ElementsAre("log piles up"));
    EXPECT_EQ(status.attention()[0].member, "a");
    EXPECT_THAT(status.attention()[0].text, HasSubstr("of its bound of 1.0 GiB"));
    EXPECT_EQ(checked().name, "slot");
    EXPECT_EQ(checked().state, engine::CheckState::waiting);
    EXPECT_THAT(checked().cause, HasSubstr("of its bound of 1.0 GiB"));
    back_up_log(world.context());
    EXPECT_THAT(reasons(read_status(world.context(), world.view(), {})), testing::IsEmpty());
    EXPECT_EQ(checked().state, engine::CheckState::ok);
}

TEST(Status, AFailureThatOnlyThisHostKnowsOfIsToldUntilALaterRunWorked)
{
    World world;
    model::Run failed;
    failed.command = "run";
    failed.exit_code = 13;
    failed.ended = world.clock().now();
    auto look = [&] {
        return read_status(world.context(), world.view(),
                           {.ask_members = false, .unrecorded = failed});
    };
    EXPECT_FALSE(look().failed_run);
    EXPECT_THAT(reasons(look()), testing::ElementsAre("last run failed"));
    EXPECT_THAT(look().attention()[0].text, HasSubstr("exit 13"));
    world.clock().advance(1min);
    record(world, "mark", 0);
    record(world, "run", 11);
    EXPECT_THAT(reasons(look()), testing::ElementsAre("last run failed"));
    record(world, "run", 0);
    EXPECT_THAT(reasons(look()), testing::IsEmpty());
    failed.ended = world.clock().now() + 1min;
    EXPECT_TRUE(look().unrecorded_run) << "it came after the one that worked";
    failed.command = "mark";
    failed.exit_code = 2;
    EXPECT_FALSE(look().unrecorded_run) << "a mistake at the terminal was told there";
}

TEST(Status, AMarkFromTheFutureIsNotYoung)
{
    World world;
    place_mark(world.context(), {});
    world.clock().advance(-2h);
    auto status = read_status(world.context(), world.view(), {.ask_members = false});
    EXPECT_THAT(reasons(status), testing::ElementsAre("old mark"));
    EXPECT_THAT(status.attention()[0].text, HasSubstr("2 h 0 min in the future"));
}

TEST(Status, DamageInProductionAndInTheLastBackupWantsEyes)
{
    World world;
    auto status = read_status(world.context(), world.view(), {});
    ASSERT_FALSE(status.needs_attention());
    status.damage = {"h is committed at a and rolled back at b"};
    EXPECT_TRUE(status.needs_attention());
    status.damage.clear();
    status.members.at(0).backup->value.damaged.push_back({});
    EXPECT_TRUE(status.needs_attention());

    // rule 8: of the newest mark and of the plan to it.
    auto view = world.view();
    model::TransactionAt damaged{.global_id = "h"};
    view.marks.front().value.at.damaged = {damaged};
    view.marks.front().value.at.ambiguous_ids = {"twice"};
    EXPECT_EQ(read_status(world.context(), view, {}).damage.size(), 1U);
    auto plan = repo::plan_restore(view, view.marks.front().number()).plan;
    ASSERT_TRUE(plan);
    EXPECT_THAT(plan->warnings,
                testing::UnorderedElementsAre(HasSubstr("h is committed"), HasSubstr("twice")));
    EXPECT_TRUE(plan->notes.empty());
}

// rule 8: the marks after it hold it, too, and nobody has anything new to do.
TEST(Status, DamageIsCountedUntilTheNextFullBackup)
{
    World world;
    world.work();
    place_mark(world.context(), {});
    auto damage_first = [](repo::RepositoryView& view) {
        view.marks.at(view.marks.size() - 2).value.at.damaged = {{.global_id = "h"}};
    };
    world.work();
    place_mark(world.context(), {});
    auto view = world.view();
    damage_first(view);
    EXPECT_EQ(read_status(world.context(), view, {}).damage.size(), 1U);
    auto plan = repo::plan_restore(view, view.marks.front().number()).plan;
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->warnings.empty());
    EXPECT_THAT(plan->notes, testing::ElementsAre(HasSubstr("h is committed")));

    world.clock().advance(std::chrono::seconds{10});
    back_up_group(world.context(), {});
    view = world.view();
    damage_first(view);
    auto status = read_status(world.context(), view, {});
    EXPECT_TRUE(status.damage.empty());
    EXPECT_FALSE(status.needs_attention());
}

} // namespace
} // namespace tidemark::job
