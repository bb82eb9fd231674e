// Wherever a restore stops, each member's state says how far it came, and the same command goes on.

#include "base/error.h"
#include "job/restore_claim.h"
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
using engine::fake::RestoredServer;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// A group of its own for each case: the fakes always open timeline 2, and a second restore of a
/// group would claim 3.
class StoppedRestore : public RestoredWorld {
protected:
    void stop_in(const std::string& method)
    {
        fail("b", method);
        EXPECT_THAT(refused().what(), HasSubstr(method + " went wrong"));
    }

    std::vector<model::Epoch> claims()
    {
        return repo::LogCatalog::load(world_.storage(), {.group = "shop", .member = "b"}).claims;
    }
    std::vector<model::InDoubt> in_doubt() const
    {
        std::vector<model::InDoubt> out;
        for (const auto& doubt : plan_.mark->value.at.in_doubt)
            if (doubt.branch.member == "b") out.push_back(doubt);
        return out;
    }

    void expect_stopped(const std::string& member, RestorePhase phase)
    {
        auto here = state(member);
        EXPECT_EQ(phase_name(here.phase), phase_name(phase)) << member;
        EXPECT_EQ(here.mark, plan_.mark->number()) << member;
        EXPECT_EQ(here.target, plan_.members.at(member).target) << member;
        EXPECT_EQ(here.reached.empty(), phase < RestorePhase::at_mark) << member;
        EXPECT_NE(server(member).phase, RestoredServer::Phase::handed_over) << member;
        EXPECT_FALSE(here.opened) << member;
    }
    /// What b decided is what the mark says, with why.
    void expect_decided(const std::vector<Decision>& decisions)
    {
        auto doubts = in_doubt();
        ASSERT_THAT(doubts, Not(IsEmpty()));
        ASSERT_THAT(decisions, SizeIs(doubts.size()));
        for (const auto& doubt : doubts) {
            auto found =
                std::find_if(decisions.begin(), decisions.end(), [&](const Decision& decision) {
                    return decision.gid == doubt.branch.gid;
                });
            ASSERT_NE(found, decisions.end()) << doubt.branch.gid;
            EXPECT_EQ(found->action, "commit") << doubt.branch.gid;
            EXPECT_EQ(found->evidence, doubt.verdict.evidence) << doubt.branch.gid;
            EXPECT_FALSE(found->evidence.empty()) << doubt.branch.gid;
        }
    }
};

struct StopCase {
    const char* method; ///< of b's target, that fails
    RestorePhase b;     ///< how far b has come
    RestorePhase a;     ///< and its neighbour, which is not held up within a step
};

class EveryStepTest : public ::testing::TestWithParam<StopCase>, protected StoppedRestore {};
class AnyStepTest : public ::testing::Test, protected StoppedRestore {};

// rule 26
TEST_P(EveryStepTest, WhereverItStopsTheSameCommandGoesOn)
{
    stop_in(GetParam().method);
    expect_stopped("a", GetParam().a);
    expect_stopped("b", GetParam().b);
    const auto before = state("b");
    if (before.phase >= RestorePhase::compared) expect_decided(before.decisions);
    EXPECT_EQ(before.claimed != 0, before.phase >= RestorePhase::claimed);
    const auto marker = dir_.path() / "b/data/marker";
    std::ofstream(marker) << "written once\n";

    restore();
    expect_all_open();
    EXPECT_TRUE(fs::exists(marker)) << "the files were written again";
    auto calls = server("b").calls;
    EXPECT_EQ(std::count(calls.begin(), calls.end(), "recover"), 1);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), "promote"), 1);
    for (const auto& doubt : in_doubt())
        EXPECT_EQ(std::count(calls.begin(), calls.end(), "settle " + doubt.branch.gid), 1)
            << doubt.branch.gid;
    expect_decided(state("b").decisions);
    EXPECT_THAT(claims(), ::testing::ElementsAre(state("b").claimed));
    if (before.claimed != 0) {
        EXPECT_EQ(state("b").claimed, before.claimed);
    }
}

// rule 26
TEST_P(EveryStepTest, AndCanBeGivenUp)
{
    stop_in(GetParam().method);
    EXPECT_THAT(discard_restore(world_.context(), plan_, options_), Not(IsEmpty()));
    EXPECT_TRUE(is_free(dir_.path() / "a"));
    EXPECT_TRUE(is_free(dir_.path() / "b"));
}

INSTANTIATE_TEST_SUITE_P(
    Steps, EveryStepTest,
    ::testing::Values(StopCase{"prepare", RestorePhase::written, RestorePhase::at_mark},
                      StopCase{"recover", RestorePhase::written, RestorePhase::at_mark},
                      StopCase{"promote", RestorePhase::claimed, RestorePhase::promoted},
                      StopCase{"prepared", RestorePhase::promoted, RestorePhase::settled},
                      StopCase{"settle", RestorePhase::compared, RestorePhase::settled},
                      StopCase{"warnings", RestorePhase::compared, RestorePhase::settled},
                      StopCase{"prepare_hand_over", RestorePhase::settled, RestorePhase::settled},
                      StopCase{"hand_over", RestorePhase::settled, RestorePhase::settled}),
    [](const ::testing::TestParamInfo<StopCase>& step) { return std::string(step.param.method); });

// rule 26
TEST_F(AnyStepTest, AStateOfAnotherMarkOrPositionIsNotGoneOnWith)
{
    stop_in("prepared");
    const auto mine = state("b");
    auto expect_refused = [&](const RestoreState& other) {
        save_restore_state(state_file("b"), other);
        auto error = refused();
        EXPECT_EQ(error.code(), Code::target_not_empty);
        EXPECT_THAT(error.what(), HasSubstr("holds a restore of b"));
        EXPECT_EQ(state("b"), other);
    };
    auto other = mine;
    ++other.mark;
    expect_refused(other);
    other = mine;
    ++other.target.offset;
    expect_refused(other);
    save_restore_state(state_file("b"), mine);
    restore();
    expect_all_open();
}

// rule 28: what the server can say of it names a file of log
TEST_F(AnyStepTest, AProgramThatTheServerCannotRunIsNamed)
{
    options_.helper = "/opt/tidemark/bin/tidemark";
    world_.engine().restored().fail(
        "b", "recover",
        {Code::member_not_ready, "could not restore file \"0\" from archive: command not found"});
    auto error = refused();
    EXPECT_EQ(error.code(), Code::member_not_ready);
    EXPECT_THAT(error.what(), HasSubstr("cannot run /opt/tidemark/bin/tidemark"));
    restore();
    expect_all_open();
}

} // namespace
} // namespace tidemark::job
