// What a member's log is when its server changes: rules 10, 13 and 14 on servers in memory. The
// same on real servers: tests/integration/cli/failover_test.cpp.

#include "base/log.h"
#include "engine/fake/fake_engine.h"
#include "job/audit.h"
#include "job/backup.h"
#include "job/init.h"
#include "job/mark.h"
#include "job/segment_testing.h"
#include "job/status.h"
#include "repo/restore_plan.h"
#include "repo/verify.h"
#include "store/memory.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Listening final : public Progress {
public:
    void stage(std::string_view, std::string_view, std::uint64_t) override {}
    void advance(std::string_view, std::uint64_t) override {}
    void finished(std::string_view) override {}
    void note(std::string_view) override {}
    void warn(std::string_view text) override { warnings.emplace_back(text); }

    std::vector<std::string> warnings;
};

/// Members a and b with a full backup; a's server is then failed over in many ways.
class FailoverTest : public testing::Test {
protected:
    FailoverTest()
    {
        base::log_setup({.level = base::LogLevel::off});
        group_.name = "shop";
        for (const char* name : {"a", "b"}) {
            group_.members.push_back({.name = name,
                                      .url = std::string("fake:") + name,
                                      .data_dir = {},
                                      .gid_pattern = "identical"});
        }
        a_ = new_server("a");
        b_ = new_server("b");
        base::SeededRandom random(1);
        repository_.emplace(repo::Repository::create(storage_, random));
        initialise(context(), {.unbounded = true});
        a_->noise(150'000);
        back_up_group(context(), {});
    }

    /// Servers of one name share a system identifier; the clock stands still, so those that do the
    /// same write the same log.
    std::shared_ptr<engine::fake::FakeServer> new_server(const std::string& name)
    {
        auto server = engine_.add_server(
            {.name = name, .system_id = "70000000000000000" + name, .clock = &clock_});
        server->set_file("base/1/1", base::Bytes(2000, std::byte{1}));
        return server;
    }

    /// Another server answers for a, which has a slot from its beginning on.
    std::shared_ptr<engine::fake::FakeServer> replace_a()
    {
        auto other = new_server("a");
        session_of_a()->create_slot();
        return other;
    }

    std::unique_ptr<engine::Session> session_of_a()
    {
        return connect(context(), group_.members[0]);
    }

    Context make_context()
    {
        return {.repository = *repository_,
                .engine = [this](const model::MemberSpec&) -> engine::Engine& { return engine_; },
                .group = group_,
                .progress = progress_,
                .clock = clock_,
                .stop = {},
                .compression_level = 1,
                .workers = 1,
                .command = "test",
                .host = "here"};
    }
    const Context& context()
    {
        if (!context_made_) context_made_.emplace(make_context());
        return *context_made_;
    }

    model::Mark mark() { return place_mark(context(), {}).mark.value; }

    /// The error of a mark that must not be placed; nothing of it may show.
    Error refused()
    {
        auto marks = repo::load_view(storage_, "shop").marks.size();
        try {
            mark();
        } catch (const Error& error) {
            EXPECT_EQ(repo::load_view(storage_, "shop").marks.size(), marks);
            return error;
        }
        ADD_FAILURE() << "the mark was placed";
        return {Code::ok, ""};
    }

    /// What every mark must be: restorable, and the same when recomputed from the logs.
    void expect_good(const model::Mark& mark)
    {
        auto audit = audit_mark(context(), "latest");
        EXPECT_THAT(audit.differences, IsEmpty());
        EXPECT_EQ(audit.recomputed.at.lost, mark.at.lost);
        auto view = repo::load_view(storage_, "shop");
        EXPECT_EQ(repo::newest_restorable(view), view.marks.front().number());
        auto report = repo::verify(*repository_, "shop");
        for (const auto& fault : report.faults)
            ADD_FAILURE() << fault.object << ": " << fault.text;
    }

    base::FakeClock clock_{*base::parse_time("2026-11-22T12:00:00Z")};
    store::MemoryStorage storage_{clock_};
    engine::fake::FakeEngine engine_;
    model::GroupSpec group_;
    std::optional<repo::Repository> repository_;
    Listening progress_;
    std::optional<Context> context_made_;
    std::shared_ptr<engine::fake::FakeServer> a_;
    std::shared_ptr<engine::fake::FakeServer> b_;
};

// rule 13, 14
TEST_F(FailoverTest, TheLogGoesOnAcrossASwitchAndSaysSo)
{
    mark();
    a_->noise(5000);
    a_->promote();
    a_->noise(5000);
    a_->promote(); // twice between two marks
    auto after = mark();
    EXPECT_EQ(after.members[0].history.current(), 3U);
    EXPECT_THAT(progress_.warnings, Contains(HasSubstr("timeline 2")));
    EXPECT_THAT(progress_.warnings, Contains(HasSubstr("timeline 3")));
    expect_good(after);
    progress_.warnings.clear();
    expect_good(mark());
    EXPECT_THAT(progress_.warnings, IsEmpty()) << "said once";
}

// rule 13
TEST_F(FailoverTest, APrepareThatWasLostWithATailIsReported)
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
    EXPECT_THAT(progress_.warnings, Contains(HasSubstr("abandoned")));
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
TEST_F(FailoverTest, WhatEndedOnATailThatAMarkSawIsOpenAgain)
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

// rule 13: a group that was restored and goes on repeats what was lost, under the same ids
TEST_F(FailoverTest, AnIdThatIsUsedAnewBehindATailIsWhole)
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

// rule 1, 13
TEST_F(FailoverTest, ABranchThatIsLostBesideItsSisterIsReported)
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
TEST_F(FailoverTest, AnIdThatWasInDoubtAtTheForkAndUsedAnewOnTheTailIsWhole)
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
TEST_F(FailoverTest, ATailBelowAllMarksIsReadFromTheChainsStart)
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
TEST_F(FailoverTest, WhatTheNewTimelineHoldsBelowTheLastMarksEndIsSeen)
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
TEST_F(FailoverTest, WhatIsInsideAMarkLiesOnItsHistory)
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

// rule 13
TEST_F(FailoverTest, AnOldPrimaryThatComesBackIsRefused)
{
    a_->promote();
    mark();
    auto old = replace_a();
    old->noise(400'000);
    for (int i = 0; i < 2; ++i) {
        auto error = refused();
        EXPECT_EQ(error.code(), Code::identity_mismatch);
        EXPECT_THAT(error.what(), HasSubstr("old primary"));
    }
    EXPECT_THROW(back_up_group(context(), {}), Error) << "nor is its copy taken";
    EXPECT_EQ(repo::load_view(storage_, "shop").members.at("a").backups.size(), 1U);
}

// rule 13
TEST_F(FailoverTest, AnotherServerOfTheSameNameAndTimelineIsRefused)
{
    mark();
    auto other = replace_a();
    other->commit("its own life");
    other->noise(400'000);
    auto error = refused();
    EXPECT_EQ(error.code(), Code::identity_mismatch);
    EXPECT_THAT(error.what(), HasSubstr("differs"));
}

// rule 13
TEST_F(FailoverTest, AServerThatWasSetBackIsRefused)
{
    mark();
    auto other = replace_a(); // as it was before all that is stored
    other->noise(1000);
    auto error = refused();
    EXPECT_EQ(error.code(), Code::identity_mismatch);
    EXPECT_THAT(error.what(), HasSubstr("set back"));
}

// rule 13
TEST_F(FailoverTest, TheParentIsComparedThoughItsChildAnswers)
{
    back_up_log(context());
    auto other = replace_a();
    other->commit("its own life");
    other->noise(400'000);
    other->promote();
    auto error = refused();
    EXPECT_EQ(error.code(), Code::identity_mismatch);
    EXPECT_THAT(error.what(), HasSubstr("differs"));
}

// rule 13
TEST_F(FailoverTest, BytesAreComparedThoughTheStoredLogEndsWithItsSegment)
{
    mark();
    fill_segment(*a_);
    auto end = a_->insert_position().offset;
    back_up_log(context());
    ASSERT_EQ(repo::LogCatalog::load(storage_, {"shop", "a"}).durable_end(model::History(1)),
              (model::LogPosition{1, end}));
    EXPECT_EQ(a_->slot().restart, end - 1) << "the segment is kept until the next one is stored";
    {
        auto other = replace_a();
        other->commit("its own life");
        other->noise(400'000);
        EXPECT_THAT(refused().what(), HasSubstr("differs"));
        // Our slot keeps that segment: a server where it is gone is not the one we told.
        ASSERT_LT(other->slot().restart, end);
        other->discard_log_below(end);
        EXPECT_EQ(refused().code(), Code::identity_mismatch);
    }
}

// rule 13
TEST_F(FailoverTest, ASegmentThatNobodyKeptIsNotAskedFor)
{
    mark();
    fill_segment(*a_);
    auto end = a_->insert_position().offset;
    back_up_log(context());
    // A standby whose own slot begins with the next segment is failed over to.
    a_->promote();
    a_->discard_log_below(end);
    back_up_log(context());
    a_->noise(1000);
    expect_good(mark());
    EXPECT_GT(a_->slot().restart, end);
}

// rule 13: an older program told the slot all that was stored, or a run died between making a slot
// and recording the new chain.
TEST_F(FailoverTest, ASegmentThatOurSlotDidNotKeepIsWarnedOf)
{
    mark();
    fill_segment(*a_);
    auto end = a_->insert_position().offset;
    back_up_log(context());
    session_of_a()->drop_slot();
    session_of_a()->create_slot();
    ASSERT_GE(a_->slot().restart, end);
    a_->discard_log_below(end);
    progress_.warnings.clear();
    back_up_log(context());
    EXPECT_THAT(progress_.warnings, Contains(HasSubstr("nothing could be compared")));
    a_->noise(1000);
    expect_good(mark());
    progress_.warnings.clear();
    mark();
    EXPECT_THAT(progress_.warnings, IsEmpty());
}

// rule 13
TEST_F(FailoverTest, AHistoryFileThatTellsAnotherPastIsRefused)
{
    a_->promote();
    mark();
    auto other = replace_a();
    other->noise(300);
    other->promote(); // elsewhere than a did
    other->noise(400'000);
    other->promote();
    auto error = refused();
    EXPECT_EQ(error.code(), Code::identity_mismatch);
    EXPECT_THAT(error.what(), HasSubstr("timeline"));
}

// rule 14
TEST_F(FailoverTest, WithoutASlotOnTheNewPrimaryAGapIsCertainAndABackupHealsIt)
{
    mark();
    a_->promote();
    session_of_a()->drop_slot();
    auto error = refused();
    EXPECT_EQ(error.code(), Code::log_gap);
    EXPECT_THAT(error.hint(), HasSubstr("tidemark backup"));
    back_up_group(context(), {});
    EXPECT_THAT(progress_.warnings, Contains(HasSubstr("gap")));
    expect_good(mark());
}

// rule 10
TEST_F(FailoverTest, TheClosingMarkIsRepeatedUntilItHoldsTheBackups)
{
    mark();
    // A coordinator that commits before all have prepared drags the cut below the backup's end.
    a_->prepare("early");
    a_->finish("early", true);
    int points = 0;
    b_->on_operation([&](const std::string& operation) {
        if (operation == "place_restore_point") ++points;
        if (operation == "insert_position" && points == 1 && b_->prepared().empty())
            b_->prepare("early");
    });
    auto outcome = back_up_group(context(), {});
    b_->on_operation({});
    EXPECT_EQ(points, 2) << "placed again";
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_GE(outcome.closing.mark.value.members[i].cut.offset,
                  outcome.members[i].manifest.value.stop.offset);
    }
}

} // namespace
} // namespace tidemark::job
