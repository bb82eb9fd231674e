// A coordinator that commits its own part in one phase, caught between the members' restore points:
// its decision lies inside the mark and what it decided was prepared behind it.

#include "base/error.h"
#include "base/temp_dir.h"
#include "job/mark.h"
#include "job/restore.h"
#include "job/restore_state.h"
#include "job/world_testing.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class DecisionGuardTest : public ::testing::Test {
protected:
    DecisionGuardTest()
    {
        world_.let_restores_read();
        world_.engine().restored().set_answers(
            [this](const std::string&, const std::string&, const std::string& sql) {
                if (sql.find("pg_database") != std::string::npos) return R"(["shop"])";
                if (sql.find("EXISTS") != std::string::npos) return "true";
                asked_ = asked_ || sql.find("E'late'") != std::string::npos;
                return row_ ? R"(["late"])" : "[]";
            });
        world_.group().members[0].decision = "public.outcome.gid";
    }

    /// b's restore point; then the part on b is prepared and a decides; then a's restore point.
    void place_between()
    {
        std::atomic<model::Offset> before = 0;
        auto& a = world_.server(0);
        auto& b = world_.server(1);
        b.on_operation([&](const std::string& operation) {
            if (operation == "place_restore_point") before = b.insert_position().offset;
        });
        a.on_operation([&](const std::string& operation) {
            if (operation != "place_restore_point") return;
            while (before == 0 || b.insert_position().offset == before)
                std::this_thread::yield();
            b.prepare("late");
            a.commit("late");
        });
        auto placed = place_mark(world_.context(), {}).mark;
        a.on_operation({});
        b.on_operation({});
        for (const auto& doubt : placed.value.at.in_doubt)
            ASSERT_NE(doubt.branch.gid, "late") << "it was prepared at the mark already";
        mark_ = placed.number();
    }

    void place() { mark_ = place_mark(world_.context(), {}).mark.number(); }

    /// Whatever a wrote since it decided is lost; b's part is committed and stays so.
    void decide_and_fail_over()
    {
        auto& a = world_.server(0);
        world_.server(1).prepare("late");
        auto fork = a.insert_position().offset;
        a.commit("late");
        world_.server(1).finish("late", true);
        back_up_log(world_.context());
        a.promote(fork);
        world_.engine().restored().set_log_reader(
            [this, fork](const std::string& member, model::Epoch epoch, model::Offset from,
                         model::Offset to) {
                auto& server = world_.server(member == "a" ? 0 : 1);
                if (epoch == 2 && from < fork) return server.log(1, from, std::min(to, fork));
                return server.log(epoch, from, std::min(to, server.insert_position().offset));
            });
    }

    void expect_undecided()
    {
        auto refused = restore();
        ASSERT_TRUE(refused.has_value()) << "a torn group was opened at m-" << mark_;
        EXPECT_EQ(refused->code(), Code::not_restorable) << refused->what();
        EXPECT_THAT(refused->what(),
                    HasSubstr("late is committed at b, and no table has its decision"));
        hint_ = refused->hint();
    }

    std::optional<Error> restore(RestoreOptions options = {})
    {
        if (options.dir.empty()) options.dir = dir_.path() / std::to_string(++restores_);
        options.start = true;
        options.keep_report = [this](const RestoreReport& report) { kept_ = report.warnings; };
        // The fake's server counts on by one; a real one is told which numbers others took.
        for (const auto& info : world_.storage().list("groups/"))
            if (auto key = repo::parse_key(info.key); key && key->kind == repo::KeyKind::claim)
                world_.storage().remove(info.key);
        try {
            auto plan = repo::need_plan(repo::plan_restore(world_.view(), mark_));
            plan.mark->value.decided_left_out = left_out_;
            warnings_ = restore_group(world_.context(), plan, options).warnings;
            options_ = options;
        } catch (const Error& error) {
            return error;
        }
        return std::nullopt;
    }
    void expect_refused()
    {
        auto refused = restore();
        ASSERT_TRUE(refused.has_value()) << "a torn group was opened";
        EXPECT_EQ(refused->code(), Code::not_restorable) << refused->what();
        EXPECT_THAT(refused->what(), HasSubstr("late is committed at a by its decision table, and "
                                               "was prepared at b behind the mark"));
    }
    std::size_t remove_indexes()
    {
        std::size_t removed = 0;
        for (const auto& info : world_.storage().list(""))
            if (info.key.ends_with(".idx")) {
                world_.storage().remove(info.key);
                ++removed;
            }
        return removed;
    }

    base::TempDir dir_{"guard"};
    World world_;
    model::Number mark_ = 0;
    bool row_ = true;
    bool asked_ = false;
    int restores_ = 0;
    std::uint64_t left_out_ = 0;        ///< by the mark, as if it were behind a very busy failover
    base::Time found_{};                ///< when the first mark behind the failover was placed
    std::string hint_;                  ///< of the last restore that was refused
    std::vector<std::string> warnings_; ///< of the last restore that was opened
    std::vector<std::string> kept_;     ///< of the report that is written before it
    RestoreOptions options_;            ///< of that restore
};

TEST_F(DecisionGuardTest, WhatWasPreparedBehindTheMarkIsAskedFor)
{
    place_between();
    if (HasFailure()) return;
    expect_refused();
    EXPECT_TRUE(asked_);
}

TEST_F(DecisionGuardTest, NobodyHadDecided)
{
    place_between();
    if (HasFailure()) return;
    row_ = false;
    auto error = restore();
    EXPECT_FALSE(error.has_value()) << error->what();
    EXPECT_TRUE(asked_);
}

// rule 13: b is told, a forgets that it has decided
TEST_F(DecisionGuardTest, ADecisionThatWentWithAFailoverIsMissedAtAllLaterMarks)
{
    place();
    const auto whole = repo::mark_id(mark_);
    decide_and_fail_over();
    using std::chrono::hours;
    using std::chrono::minutes;
    // Rows stay for an hour; later it may have been tidied: a group must not stay without a mark
    // for that.
    for (base::Duration apart :
         {minutes{1}, minutes{1}, minutes{1}, minutes{60 * 24}, minutes{1}}) {
        world_.clock().advance(apart);
        place();
        row_ = false;
        auto now = world_.clock().now();
        if (found_ == base::Time{}) found_ = now;
        if (now - found_ < hours{1}) {
            expect_undecided();
            EXPECT_THAT(hint_, HasSubstr("--to " + whole)) << "all others hold the same half";
        } else {
            auto error = restore();
            ASSERT_FALSE(error.has_value()) << error->what();
            EXPECT_THAT(warnings_, Contains(HasSubstr(
                                       "late is committed at b, and its decision row is absent: it "
                                       "may have gone with the failover of a")));
        }
        row_ = true;
        auto error = restore();
        EXPECT_FALSE(error.has_value()) << error->what();
        EXPECT_THAT(warnings_, Not(Contains(HasSubstr("decision row"))));
        world_.work();
    }
}

// rule 13: exit 3, as nobody was asked whether these are whole
TEST_F(DecisionGuardTest, WhatAMarkLeftOutIsAWarning)
{
    place();
    left_out_ = 5;
    auto error = restore();
    ASSERT_FALSE(error.has_value()) << error->what();
    EXPECT_THAT(warnings_, Contains(HasSubstr("5 more were left out, and no decision table was "
                                              "asked for these")));
}

// rule 13, 22: the tables are not asked again, and the report is written anew
TEST_F(DecisionGuardTest, AKillBetweenTwoMembersKeepsTheWarningOfTheTables)
{
    place();
    decide_and_fail_over();
    place();
    world_.clock().advance(std::chrono::hours{25});
    place();
    row_ = false;
    auto error = restore();
    ASSERT_FALSE(error.has_value()) << error->what();
    const auto doubt =
        Contains(HasSubstr("late is committed at b, and its decision row is absent"));
    ASSERT_THAT(warnings_, doubt);
    const auto file = options_.dir / "b" / "tidemark/state.json";
    auto state = load_restore_state(file).value();
    state.phase = RestorePhase::settled;
    state.opened = false;
    save_restore_state(file, state);
    asked_ = false;
    warnings_.clear();
    kept_.clear();
    error = restore(options_);
    ASSERT_FALSE(error.has_value()) << error->what();
    EXPECT_FALSE(asked_);
    EXPECT_THAT(warnings_, doubt);
    EXPECT_THAT(kept_, doubt);
}

TEST_F(DecisionGuardTest, WhatIsSettledLaterKeepsTheWarningThatNoTableWasAsked)
{
    world_.work();
    place();
    RestoreOptions keep;
    keep.settle = false;
    auto error = restore(keep);
    ASSERT_FALSE(error.has_value()) << error->what();
    const auto warning = Contains(HasSubstr("no decision table was asked whether the mark is"));
    ASSERT_THAT(warnings_, warning);
    auto again = options_;
    again.settle = true;
    auto state = load_restore_state(again.dir / "b" / "tidemark/state.json").value();
    ASSERT_FALSE(state.decisions.empty());
    again.decisions[{"b", state.decisions.front().gid}] = true;
    warnings_.clear();
    kept_.clear();
    error = restore(again);
    ASSERT_FALSE(error.has_value()) << error->what();
    EXPECT_THAT(warnings_, warning);
    EXPECT_THAT(kept_, warning);
}

// rule 13: the mark before knows of no table yet
TEST_F(DecisionGuardTest, TheFirstMarkWithATableMissesItToo)
{
    decide_and_fail_over();
    place();
    row_ = false;
    expect_undecided();
}

TEST_F(DecisionGuardTest, WithoutAFailoverRowsMayGoAfterTheMark)
{
    place();
    world_.server(1).prepare("late");
    world_.server(0).commit("late");
    world_.server(1).finish("late", true);
    place();
    row_ = false;
    auto error = restore();
    EXPECT_FALSE(error.has_value()) << error->what();
}

TEST_F(DecisionGuardTest, IndexesAreDerivedDataHereToo)
{
    place_between();
    if (HasFailure()) return;
    ASSERT_GT(remove_indexes(), 0U);
    expect_refused();
}

} // namespace
} // namespace tidemark::job
