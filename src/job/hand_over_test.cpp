// All members are opened or none, whatever happens on the way, and the same command goes on.

#include "base/error.h"
#include "base/fd.h"
#include "job/group_log.h"
#include "job/restored_world_testing.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using engine::fake::RestoredServer;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class HandOverJobTest : public ::testing::Test, public RestoredWorld {
protected:
    /// As if killed when this member had come so far and no further.
    void put_back(const std::string& member, RestorePhase phase)
    {
        auto changed = state(member);
        changed.phase = phase;
        changed.opened = phase == RestorePhase::handed_over;
        save_restore_state(state_file(member), changed);
    }
    void expect_all_closed()
    {
        for (const char* member : {"a", "b"}) {
            EXPECT_NE(server(member).phase, RestoredServer::Phase::handed_over) << member;
            EXPECT_EQ(state(member).phase, RestorePhase::settled) << member;
        }
    }
};

// rule 22
TEST_F(HandOverJobTest, NobodyIsPromotedBeforeAllAreThere)
{
    fail("b", "recover");
    EXPECT_THAT(refused().what(), HasSubstr("member b"));
    EXPECT_EQ(server("a").phase, RestoredServer::Phase::at_goal);
    EXPECT_THAT(server("a").calls, Contains("recover"));
    EXPECT_THAT(server("a").calls, Not(Contains("promote")));
    EXPECT_EQ(state("a").phase, RestorePhase::at_mark);
    restore();
    expect_all_open();
}

TEST_F(HandOverJobTest, WhoCannotBeConfiguredKeepsAllClosed)
{
    fail("b", "prepare_hand_over");
    EXPECT_THAT(refused().what(), HasSubstr("member b"));
    expect_all_closed();
    EXPECT_THAT(server("a").calls, Not(Contains("hand_over")));
    restore();
    expect_all_open();
}

TEST_F(HandOverJobTest, WhoDoesNotStartClosesTheOthersAgain)
{
    fail("b", "hand_over");
    auto error = refused();
    EXPECT_THAT(error.what(), HasSubstr("member b"));
    EXPECT_THAT(error.what(), HasSubstr("no member was left open"));
    expect_all_closed();
    EXPECT_THAT(server("a").calls, Contains("take_back"));
    EXPECT_FALSE(server("a").running);
    restore();
    expect_all_open();
}

/// Whatever a member ends with: also what the standard library throws.
TEST_F(HandOverJobTest, AnyExceptionClosesTheOthersAgain)
{
    const std::pair<std::exception_ptr, Code> cases[] = {
        {std::make_exception_ptr(std::runtime_error("no Error at all")), Code::failed},
        {std::make_exception_ptr(std::bad_alloc()), Code::failed},
        {std::make_exception_ptr(std::filesystem::filesystem_error(
             "cannot copy", std::make_error_code(std::errc::no_space_on_device))),
         Code::out_of_space}};
    for (const auto& [exception, code] : cases) {
        world_.engine().restored().fail("b", "hand_over", exception);
        auto error = refused();
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("member b"));
        EXPECT_THAT(error.what(), HasSubstr("no member was left open"));
        expect_all_closed();
        EXPECT_FALSE(server("a").running);
        EXPECT_FALSE(server("b").running);
    }
    restore();
    expect_all_open();
}

TEST_F(HandOverJobTest, AKillBetweenTwoMembersIsGoneOnFrom)
{
    restore();
    put_back("b", RestorePhase::settled);
    EXPECT_THROW(discard_restore(world_.context(), plan_, options_), Error)
        << "a may hold new work by now";
    auto report = restore();
    expect_all_open();
    EXPECT_EQ(report.members[0].reached, report.members[0].target);
    EXPECT_GT(report.members[0].epoch, 1U);
}

/// Only one that was being opened when it was interrupted: not one whose group was taken apart.
TEST_F(HandOverJobTest, AMemberThatIsInUseIsLeftAloneWhenAnotherIsGone)
{
    restore();
    fs::remove_all(dir_.path() / "b");
    auto error = refused();
    EXPECT_EQ(error.code(), Code::target_not_empty);
    EXPECT_TRUE(server("a").running);
    EXPECT_EQ(server("a").calls.back(), "hand_over");
}

TEST_F(HandOverJobTest, ItIsToldWhereTheDataWas)
{
    restore();
    const auto& was = plan_.members.at("a").backup.value.identity.data_directory;
    EXPECT_FALSE(was.empty());
    EXPECT_EQ(server("a").hand_over.data_directory, was);
}

TEST_F(HandOverJobTest, OnceMoreOnAFinishedRestoreSaysSo)
{
    restore();
    auto error = refused();
    EXPECT_EQ(error.code(), Code::target_not_empty);
    EXPECT_THAT(error.what(), HasSubstr("handed over already; nothing is left to do"));
    expect_all_open();
}

TEST_F(HandOverJobTest, DecisionsOutliveAKill)
{
    fail("a", "prepare_hand_over");
    refused();
    auto report = restore();
    for (const auto& member : report.members) {
        if (member.name != "b") continue;
        ASSERT_FALSE(member.decisions.empty()) << "b had a commit to make up for";
        for (const auto& decision : member.decisions) {
            EXPECT_EQ(decision.action, "commit") << decision.gid;
            EXPECT_FALSE(decision.evidence.empty());
            EXPECT_TRUE(server("b").settled.at(decision.gid));
        }
    }
}

TEST_F(HandOverJobTest, WhatWasKeptIsSettledLater)
{
    options_.settle = false;
    auto kept = restore();
    EXPECT_TRUE(kept.unsettled);
    auto gid = state("b").decisions.at(0).gid;
    EXPECT_THAT(refused().hint(), HasSubstr("--decisions"));
    options_.settle = true;
    EXPECT_THAT(refused().hint(), HasSubstr("--decisions"));
    options_.decisions[{"b", "another"}] = true;
    EXPECT_EQ(refused().code(), Code::usage) << "nothing of that name is in doubt";
    options_.decisions.clear();
    expect_all_open();
    options_.decisions[{"b", gid}] = true;
    auto settled = restore();
    EXPECT_FALSE(settled.unsettled);
    EXPECT_TRUE(server("b").settled.at(gid));
    expect_all_open();
    EXPECT_TRUE(state("a").opened);
    EXPECT_THAT(refused().what(), HasSubstr("nothing is left to do"));
}

TEST_F(HandOverJobTest, NothingIsClosedThatCouldNotBeHandedOverAgain)
{
    options_.settle = false;
    restore();
    options_.settle = true;
    options_.decisions[{"b", state("b").decisions.at(0).gid}] = true;
    fail("b", "check_hand_over");
    EXPECT_THAT(refused().what(), HasSubstr("check_hand_over went wrong"));
    expect_all_open();
    EXPECT_FALSE(restore().unsettled);
    expect_all_open();
}

/// Killed while members that have been in use are closed to settle more: still not ours to remove.
TEST_F(HandOverJobTest, WhatWasOpenedOnceNeedsForceToBeRemoved)
{
    restore();
    for (const char* member : {"a", "b"}) {
        auto changed = state(member);
        changed.phase = RestorePhase::settled;
        save_restore_state(state_file(member), changed);
    }
    EXPECT_THROW(discard_restore(world_.context(), plan_, options_), Error);
    options_.force = true;
    EXPECT_FALSE(discard_restore(world_.context(), plan_, options_).empty());
}

TEST_F(HandOverJobTest, TheReportIsWrittenBeforeAnyMemberIsOpened)
{
    options_.keep_report = [](const RestoreReport& report) {
        EXPECT_THAT(report.members, SizeIs(2));
        EXPECT_FALSE(report.lost.has_value());
        throw Error{Code::out_of_space, "no room for the report"};
    };
    EXPECT_EQ(refused().code(), Code::out_of_space);
    expect_all_closed();
    options_.keep_report = {};
    restore();
    expect_all_open();
}

/// Production's own COMMIT PREPARED lies behind the mark, but this restore has done the same.
TEST_F(HandOverJobTest, WhatThisRestoreCommittedIsNotLost)
{
    std::string gid;
    for (const auto& doubt : plan_.mark->value.at.in_doubt)
        if (doubt.branch.member == "b" && doubt.verdict.decision == model::Decision::commit)
            gid = doubt.branch.gid;
    ASSERT_FALSE(gid.empty());
    world_.server(1).finish(gid, true);
    world_.server(1).prepare("later");
    world_.server(1).finish("later", true);
    back_up_log(world_.context());
    auto report = restore();
    ASSERT_TRUE(report.lost.has_value());
    const auto& lost = report.lost->back();
    EXPECT_EQ(lost.member, "b");
    EXPECT_THAT(lost.gids, ::testing::ElementsAre("later"));
    EXPECT_EQ(lost.commits, 1U);
}

TEST_F(HandOverJobTest, DamageAfterTheMarkIsAWarning)
{
    world_.work();
    back_up_log(world_.context());
    std::string last;
    for (const auto& object : world_.storage().list("groups/shop/members/b/log/")) {
        if (!object.key.ends_with(".idx")) last = std::max(last, object.key);
    }
    auto bytes = store::get(world_.storage(), last, 1U << 20).value();
    bytes[bytes.size() / 2] ^= std::byte{0xFF};
    world_.storage().remove(last);
    store::put(world_.storage(), last, bytes);
    auto report = restore();
    expect_all_open();
    EXPECT_THAT(report.warnings, Contains(HasSubstr("what is lost of member b")));
    ASSERT_THAT(*report.lost, SizeIs(2));
    EXPECT_THAT(report.lost->at(0).unknown, IsEmpty());
    EXPECT_GT(report.lost->at(0).commits, 0U);
    EXPECT_THAT(report.lost->at(1).unknown, Not(IsEmpty()));
}

/// What is lost lies where the users went on, not on the timeline that they have left.
TEST_F(HandOverJobTest, LostWorkIsFoundBehindAFailover)
{
    auto& server = world_.server(0);
    server.commit("kept by the failover");
    auto fork = server.insert_position().offset;
    server.commit("on the abandoned tail");
    back_up_log(world_.context());
    server.promote(fork);
    for (int i = 0; i < 6; ++i)
        server.commit("new");
    back_up_log(world_.context());
    auto lost = find_lost_work(world_.context(), plan_);
    ASSERT_FALSE(lost.empty());
    EXPECT_EQ(lost[0].member, "a");
    EXPECT_EQ(lost[0].to.epoch, 2U);
    EXPECT_EQ(lost[0].commits, 7U);
    EXPECT_THAT(lost[0].unknown, IsEmpty());
}

TEST(RestoreStateTest, DecisionsWithForeignBytesComeBack)
{
    base::TempDir dir{"state"};
    RestoreState state{.repository = "r",
                       .group = "g",
                       .member = "m",
                       .mark = 1,
                       .backup = 1,
                       .target = {1, 16},
                       .phase = RestorePhase::settled,
                       .claimed = 2,
                       .reached = "there"};
    state.decisions.push_back({.xid = 7,
                               .gid = "gr\xFCn #1 \"\\",
                               .global_id = "",
                               .database = "d\xE9",
                               .action = "kept",
                               .evidence = "nobody knows",
                               .differs_from_production = true});
    state.table_warnings = {"gr\xFCn #1 is committed at m", "another"};
    state.opened = true;
    save_restore_state(dir.path() / "state.json", state);
    EXPECT_EQ(load_restore_state(dir.path() / "state.json"), state);
}

} // namespace
} // namespace tidemark::job
