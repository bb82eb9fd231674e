// What a member's log is when its server changes: rules 10, 13 and 14 on servers in memory. The
// same on real servers: tests/integration/cli/failover_test.cpp.

#include "job/changing_server_testing.h"
#include "job/segment_testing.h"
#include "job/status.h"

#include <algorithm>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class FailoverTest : public ChangingServerTest {};

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
    EXPECT_THAT(progress_.warnings(), Contains(HasSubstr("timeline 2")));
    EXPECT_THAT(progress_.warnings(), Contains(HasSubstr("timeline 3")));
    expect_good(after);
    progress_.forget_warnings();
    expect_good(mark());
    EXPECT_THAT(progress_.warnings(), IsEmpty()) << "said once";
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
    progress_.forget_warnings();
    back_up_log(context());
    EXPECT_THAT(progress_.warnings(), Contains(HasSubstr("nothing could be compared")));
    a_->noise(1000);
    expect_good(mark());
    progress_.forget_warnings();
    mark();
    EXPECT_THAT(progress_.warnings(), IsEmpty());
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
    EXPECT_THAT(progress_.warnings(), Contains(HasSubstr("gap")));
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
