// What stood on log that a failover or a restore abandoned, and what marks behind it know of that
// (rule 13).

#include "job/changing_server_testing.h"
#include "job/segment_testing.h"
#include "job/status.h"
#include "model/lost.h"

#include <algorithm>

namespace tidemark::job {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class AbandonedTailTest : public ChangingServerTest {};

// rule 13
TEST_F(AbandonedTailTest, APrepareThatWasLostWithATailIsReported)
{
    mark();
    auto fork = a_->insert_position().offset;
    a_->prepare("torn");
    b_->prepare("torn");
    b_->finish("torn", true);
    a_->prepare("lost everywhere");
    back_up_log(context()); // we have seen the tail
    a_->promote(fork);
    auto after = mark();
    EXPECT_TRUE(after.flags.lost_prepares);
    ASSERT_THAT(after.at.lost, SizeIs(1));
    EXPECT_EQ(after.at.lost[0].global_id, "torn");
    EXPECT_THAT(progress_.warnings(), Contains(HasSubstr("abandoned")));
    expect_good(after);
    EXPECT_THAT(mark().at.lost, IsEmpty()) << "said by the first mark behind the failover";
    // And not forgotten: whoever looks, or restores to any later mark, is told.
    auto view = repo::load_view(storage_, "shop");
    auto status = read_status(context(), view, {});
    EXPECT_THAT(status.lost, ElementsAre(HasSubstr("torn is committed at b")));
    auto plan = repo::need_plan(repo::plan_restore(view, view.marks.front().number()));
    EXPECT_THAT(plan.warnings, Contains(HasSubstr("torn is committed at b")));
    plan = repo::need_plan(repo::plan_restore(view, view.marks[2].number()));
    EXPECT_THAT(plan.warnings, Not(Contains(HasSubstr("torn"))));
}

// rule 13
TEST_F(AbandonedTailTest, WhatEndedOnATailThatAMarkSawIsOpenAgain)
{
    mark();
    a_->prepare("half");
    b_->prepare("half");
    auto fork = a_->insert_position().offset;
    a_->finish("half", true);
    b_->finish("half", true);
    for (const auto& server : {a_, b_})
        server->prepare("whole");
    for (const auto& server : {a_, b_})
        server->finish("whole", true);
    auto seen = mark(); // knows that both are finished, and lets go of them
    EXPECT_THAT(seen.at.in_doubt, IsEmpty());
    a_->promote(fork);
    for (int again = 0; again < 2; ++again) {
        auto after = mark();
        ASSERT_THAT(after.at.in_doubt, SizeIs(1)) << again;
        EXPECT_EQ(after.at.in_doubt[0].branch.gid, "half");
        EXPECT_EQ(after.at.in_doubt[0].branch.member, "a");
        EXPECT_EQ(after.at.in_doubt[0].verdict.decision, model::Decision::commit);
        if (again == 0) {
            ASSERT_THAT(after.at.lost, SizeIs(1));
            EXPECT_EQ(after.at.lost[0].global_id, "whole");
            EXPECT_TRUE(after.flags.lost_prepares);
        }
        expect_good(after);
    }
}

// rule 5, 13: the client may have been told "committed", and production's coordinator commits both
TEST_F(AbandonedTailTest, WhatATailShowsCommittedIsNotRolledBack)
{
    mark();
    for (const auto& server : {a_, b_})
        for (const char* gid : {"dec", "undone"})
            server->prepare(gid);
    auto fork = a_->insert_position().offset;
    a_->finish("dec", true);
    a_->finish("undone", false);
    back_up_log(context());
    a_->promote(fork);
    for (int again = 0; again < 2; ++again) {
        auto after = mark();
        ASSERT_THAT(after.at.in_doubt, SizeIs(4)) << again;
        for (const auto& doubt : after.at.in_doubt) {
            if (doubt.branch.gid == "undone") {
                EXPECT_EQ(doubt.verdict.decision, model::Decision::rollback);
                continue;
            }
            EXPECT_EQ(doubt.verdict.decision, model::Decision::unknown);
            EXPECT_EQ(doubt.verdict.reason, model::Reason::commit_abandoned);
            EXPECT_EQ(doubt.verdict.committed_by, "a");
            EXPECT_EQ(doubt.verdict.committed_at.epoch, 1U);
            EXPECT_GE(doubt.verdict.committed_at.offset, fork);
            EXPECT_THAT(doubt.verdict.evidence, HasSubstr("a failover abandoned"));
        }
        EXPECT_TRUE(after.flags.unknown_verdicts);
        EXPECT_THAT(after.at.lost, IsEmpty());
        expect_good(after);
    }
    for (const auto& server : {a_, b_})
        server->finish("dec", true);
    auto settled = mark();
    EXPECT_THAT(settled.at.in_doubt, SizeIs(2)) << "production committed it";
    expect_good(settled);
}

// rule 5, 13: and where the prepare went with the commit, its partner is not either
TEST_F(AbandonedTailTest, WhatATailShowsPreparedAndCommittedIsNotRolledBackElsewhere)
{
    mark();
    for (const char* gid : {"dec", "undone"})
        b_->prepare(gid);
    auto fork = a_->insert_position().offset;
    for (const char* gid : {"dec", "undone"})
        a_->prepare(gid);
    a_->finish("dec", true);
    a_->finish("undone", false);
    back_up_log(context());
    a_->promote(fork);
    for (int again = 0; again < 2; ++again) {
        auto after = mark();
        ASSERT_THAT(after.at.in_doubt, SizeIs(2)) << again;
        for (const auto& doubt : after.at.in_doubt) {
            EXPECT_EQ(doubt.branch.member, "b");
            if (doubt.branch.gid == "undone") {
                EXPECT_EQ(doubt.verdict.decision, model::Decision::rollback);
                continue;
            }
            EXPECT_EQ(doubt.verdict.decision, model::Decision::unknown);
            EXPECT_EQ(doubt.verdict.reason, model::Reason::commit_abandoned);
            EXPECT_EQ(doubt.verdict.committed_by, "a");
            EXPECT_GE(doubt.verdict.committed_at.offset, fork);
            EXPECT_THAT(doubt.verdict.evidence, HasSubstr("with all of its part there"));
        }
        EXPECT_THAT(after.at.lost, IsEmpty()) << "committed nowhere";
        expect_good(after);
    }
    b_->finish("dec", true);
    auto settled = mark();
    ASSERT_THAT(settled.at.lost, SizeIs(1)) << "production committed its half";
    EXPECT_EQ(settled.at.lost[0].global_id, "dec");
    expect_good(settled);
}

// rule 13: a group that was restored and goes on repeats what was lost, under the same ids
TEST_F(AbandonedTailTest, AnIdThatIsUsedAnewBehindATailIsWhole)
{
    mark();
    auto use = [&](const std::string& gid, bool finish_b) {
        for (const auto& server : {a_, b_})
            server->prepare(gid);
        a_->finish(gid, true);
        if (finish_b) b_->finish(gid, true);
        clock_.advance(std::chrono::seconds{10});
    };
    auto at_a = a_->insert_position().offset;
    auto at_b = b_->insert_position().offset;
    use("order-1", true);
    use("order-2", true);
    mark();
    a_->promote(at_a);
    b_->promote(at_b);
    clock_.advance(std::chrono::seconds{10});
    use("order-1", true);
    use("order-2", false);
    for (int again = 0; again < 2; ++again) {
        auto after = mark();
        EXPECT_THAT(after.at.lost, IsEmpty());
        EXPECT_FALSE(after.flags.lost_prepares);
        ASSERT_THAT(after.at.in_doubt, SizeIs(1));
        EXPECT_EQ(after.at.in_doubt[0].branch.gid, "order-2");
        EXPECT_EQ(after.at.in_doubt[0].verdict.decision, model::Decision::commit);
        expect_good(after);
    }
}

// rule 13: only one member is failed over, and the use that stood on its tail was left unfinished
TEST_F(AbandonedTailTest, AnIdWhoseUnfinishedUseWasLostIsWholeWhenItIsUsedAnew)
{
    mark();
    auto fork = a_->insert_position().offset;
    for (const char* gid : {"order-1", "order-2"})
        a_->prepare(gid);
    back_up_log(context());
    a_->promote(fork);
    clock_.advance(std::chrono::seconds{10});
    for (const char* gid : {"order-1", "order-2"}) {
        for (const auto& server : {a_, b_})
            server->prepare(gid);
        a_->finish(gid, true);
    }
    b_->finish("order-1", true);
    for (int again = 0; again < 2; ++again) {
        auto after = mark();
        EXPECT_THAT(after.at.lost, IsEmpty());
        EXPECT_FALSE(after.flags.lost_prepares);
        ASSERT_THAT(after.at.in_doubt, SizeIs(1));
        EXPECT_EQ(after.at.in_doubt[0].branch.gid, "order-2");
        EXPECT_EQ(after.at.in_doubt[0].verdict.decision, model::Decision::commit);
        expect_good(after);
    }
}

// rule 13: each use lacks its part at another member, and together they look whole
TEST_F(AbandonedTailTest, TwoUsesOfAnIdThatAreBothHalfThereAreReported)
{
    mark();
    b_->prepare("g");
    auto at_a = a_->insert_position().offset;
    a_->prepare("g");
    b_->finish("g", true);
    back_up_log(context());
    a_->promote(at_a);
    clock_.advance(std::chrono::seconds{10});
    a_->prepare("g");
    auto at_b = b_->insert_position().offset;
    b_->prepare("g");
    a_->finish("g", true);
    back_up_log(context());
    b_->promote(at_b);
    auto after = mark();
    EXPECT_TRUE(after.flags.lost_prepares);
    ASSERT_THAT(after.at.lost, SizeIs(2));
    std::vector<std::string> told;
    for (const auto& lost : after.at.lost)
        told.push_back(model::lost_sentence(lost));
    EXPECT_THAT(told, Contains(HasSubstr("committed at b, but its part at a")));
    EXPECT_THAT(told, Contains(HasSubstr("committed at a, but its part at b")));
    expect_good(after);
    EXPECT_THAT(mark().at.lost, IsEmpty());
}

// rule 4, 13: the coordinator knows of no failover, and goes on behind the first mark
TEST_F(AbandonedTailTest, ALostPrepareIsReportedHoweverLateItsPartnerIsPrepared)
{
    mark();
    auto fork = a_->insert_position().offset;
    a_->prepare("late");
    a_->prepare("dropped");
    back_up_log(context());
    a_->promote(fork);
    for (int i = 0; i < 2; ++i) {
        clock_.advance(std::chrono::minutes{5});
        auto before = mark();
        EXPECT_THAT(before.at.lost, IsEmpty());
        EXPECT_THAT(before.at.in_doubt, IsEmpty()) << "what is lost is not in doubt";
        EXPECT_THAT(before.at.spanning, IsEmpty());
        EXPECT_THAT(before.table.branches, SizeIs(2));
        expect_good(before);
    }
    clock_.advance(std::chrono::minutes{5});
    b_->prepare("late");
    b_->finish("late", true);
    auto after = mark();
    ASSERT_THAT(after.at.lost, SizeIs(1));
    EXPECT_EQ(model::lost_sentence(after.at.lost[0]),
              "lost in a failover: late is committed at b, but its part at a stood on log that was "
              "abandoned");
    expect_good(after);
    auto later = mark();
    EXPECT_THAT(later.at.lost, IsEmpty()) << "said by the first mark that holds the half";
    ASSERT_THAT(later.table.branches, SizeIs(1));
    EXPECT_EQ(later.table.branches[0].gid, "dropped");
    expect_good(later);
    clock_.advance(std::chrono::hours{8 * 24});
    EXPECT_THAT(mark().table.branches, IsEmpty()) << "nobody commits its rest any more";
}

// rule 13: the former use, which the failover opened again and somebody finished late, does not
// stand in for the part that the next one lost
TEST_F(AbandonedTailTest, AFormerUseThatIsOpenAgainHidesNoLostPart)
{
    mark();
    for (const auto& server : {a_, b_})
        server->prepare("g");
    auto fork = a_->insert_position().offset;
    for (const auto& server : {a_, b_})
        server->finish("g", true);
    clock_.advance(std::chrono::seconds{10});
    for (const auto& server : {a_, b_})
        server->prepare("g");
    back_up_log(context());
    a_->promote(fork);
    clock_.advance(std::chrono::seconds{10});
    a_->finish("g", true);
    auto before = mark();
    EXPECT_THAT(before.at.lost, IsEmpty());
    expect_good(before);
    b_->finish("g", true);
    auto after = mark();
    ASSERT_THAT(after.at.lost, SizeIs(1));
    EXPECT_THAT(model::lost_sentence(after.at.lost[0]), HasSubstr("at b, but its part at a stood"));
    EXPECT_THAT(after.at.lost[0].parts, SizeIs(2));
    expect_good(after);
}

// rule 13: likewise, and of the former use the table keeps only what lived so long
TEST_F(AbandonedTailTest, AFormerUseThatIsOpenAgainHidesNoPartThatWasLostLast)
{
    mark();
    for (const auto& server : {a_, b_})
        server->prepare("g");
    auto fork = a_->insert_position().offset;
    for (const auto& server : {a_, b_})
        server->finish("g", true);
    for (const auto& server : {b_, a_}) {
        clock_.advance(std::chrono::seconds{10});
        server->prepare("g");
    }
    back_up_log(context());
    a_->promote(fork);
    clock_.advance(std::chrono::seconds{10});
    a_->finish("g", true);
    EXPECT_THAT(mark().at.lost, IsEmpty());
    b_->finish("g", true);
    auto after = mark();
    ASSERT_THAT(after.at.lost, SizeIs(1));
    EXPECT_THAT(model::lost_sentence(after.at.lost[0]), HasSubstr("at b, but its part at a stood"));
    expect_good(after);
    EXPECT_THAT(mark().at.lost, IsEmpty());
}

// rule 1, 13
TEST_F(AbandonedTailTest, ABranchThatIsLostBesideItsSisterIsReported)
{
    group_.members[0].gid_pattern = "regex:(.*)/[xy]";
    context_made_.reset();
    mark();
    a_->prepare("G/x");
    auto fork = a_->insert_position().offset;
    a_->prepare("G/y");
    back_up_log(context());
    a_->promote(fork);
    a_->finish("G/x", true);
    auto after = mark();
    ASSERT_THAT(after.at.lost, SizeIs(1));
    EXPECT_EQ(after.at.lost[0].global_id, "G");
    expect_good(after);
}

// rule 13: one use is settled behind the failover, the next one stood on the tail
TEST_F(AbandonedTailTest, AnIdThatWasInDoubtAtTheForkAndUsedAnewOnTheTailIsWhole)
{
    mark();
    for (const auto& server : {a_, b_})
        server->prepare("g");
    auto at_a = a_->insert_position().offset;
    auto at_b = b_->insert_position().offset;
    for (int use = 0; use < 2; ++use)
        for (const auto& server : {a_, b_}) {
            if (use > 0) server->prepare("g");
            server->finish("g", true);
        }
    back_up_log(context());
    a_->promote(at_a);
    b_->promote(at_b);
    for (const auto& server : {a_, b_})
        server->finish("g", true);
    auto after = mark();
    EXPECT_THAT(after.at.lost, IsEmpty());
    expect_good(after);
}

// rule 13: the first mark of all lies on the tail
TEST_F(AbandonedTailTest, ATailBelowAllMarksIsReadFromTheChainsStart)
{
    auto marks = repo::load_view(storage_, "shop").marks;
    ASSERT_THAT(marks, SizeIs(1)); // the backup's
    b_->prepare("young");
    a_->promote(marks[0].value.members[0].r);
    auto after = mark();
    EXPECT_FALSE(after.previous);
    EXPECT_THAT(after.at.in_doubt, SizeIs(1));
    expect_good(after);
}

// rule 13
TEST_F(AbandonedTailTest, WhatTheNewTimelineHoldsBelowTheLastMarksEndIsSeen)
{
    a_->noise(1000);
    auto fork = a_->insert_position().offset;
    a_->noise(30'000);
    auto before = mark();
    a_->promote(fork);
    a_->prepare("young");
    auto prepared_to = a_->insert_position().offset;
    back_up_log(context());
    ASSERT_LT(prepared_to, before.table.members.at("a").e);
    a_->noise(60'000);
    auto after = mark();
    ASSERT_THAT(after.at.in_doubt, SizeIs(1));
    EXPECT_EQ(after.at.in_doubt[0].branch.gid, "young");
    expect_good(after);
}

// rule 13
TEST_F(AbandonedTailTest, WhatIsInsideAMarkLiesOnItsHistory)
{
    auto fork = a_->insert_position().offset;
    a_->prepare("torn");
    b_->prepare("torn");
    a_->noise(30'000);
    auto before = mark();
    a_->promote(fork);
    a_->prepare("young");
    a_->noise(60'000);
    auto after = mark();
    auto inside = [&](const model::Mark& mark, const std::string& gid) {
        std::string out;
        for (const auto& found : explain_gid(context(), mark, gid))
            out += found.member + (found.inside.value() ? " yes " : " no ");
        return out;
    };
    EXPECT_EQ(inside(before, "torn"), "a yes b yes ");
    EXPECT_EQ(inside(after, "torn"), "a no b yes ") << "on a's abandoned tail";
    EXPECT_EQ(inside(before, "young"), "a no ") << "below the cut, but on the next timeline";
    EXPECT_EQ(inside(after, "young"), "a yes ");
}

} // namespace
} // namespace tidemark::job
