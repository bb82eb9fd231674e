// A stored mark that does not say what the log says is found, whatever it was that changed.

#include "job/audit.h"

#include "base/error.h"
#include "job/audit_compare.h"
#include "job/mark.h"
#include "job/mark_input.h"
#include "job/world_testing.h"
#include "repo/identities.h"
#include "repo/layout.h"
#include "repo/marks.h"

#include <functional>
#include <gmock/gmock.h>

namespace tidemark::job {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Removes the pieces of a member that lie between two positions; says how many.
std::size_t remove_log(store::Storage& storage, const std::string& member, model::Offset from,
                       model::Offset to)
{
    std::size_t removed = 0;
    for (const auto& piece :
         repo::LogCatalog::load(storage, {.group = "shop", .member = member}).pieces) {
        if (piece.range.from < from || piece.range.to > to) continue;
        storage.remove(piece.key);
        storage.remove(piece.key + ".idx");
        ++removed;
    }
    return removed;
}

/// Stores a mark again as it is now; its hash is right.
void store_again(store::Storage& storage, const repo::StoredMark& mark)
{
    storage.remove(mark.object.key);
    EXPECT_EQ(store::put(storage, mark.object.key, repo::encode_mark(mark.value, mark.header)),
              store::Created::yes);
}

base::Code code_of_audit(const Context& context)
{
    try {
        audit_mark(context, "latest");
    } catch (const base::Error& error) {
        return error.code();
    }
    return base::Code::ok;
}

/// The newest mark has transactions in doubt; a mark that was changed carries its own right hash.
class AuditTest : public testing::Test {
protected:
    AuditTest()
    {
        world_.work();
        mark_ = place_mark(world_.context(), {}).mark.value;
    }

    AuditReport audit() { return audit_mark(world_.context(), "latest"); }

    std::vector<std::string> differences_after(const std::function<void(model::Mark&)>& change)
    {
        EXPECT_THAT(audit().differences, IsEmpty()) << "as it was placed";
        auto stored = repo::Marks(world_.storage(), "shop").need("latest");
        change(stored.value);
        store_again(world_.storage(), stored);
        auto report = audit();
        EXPECT_FALSE(report.good());
        return report.differences;
    }

    World world_;
    model::Mark mark_;
};

TEST_F(AuditTest, ACutThatWasMoved)
{
    EXPECT_THAT(differences_after([](model::Mark& mark) { mark.members[0].cut.offset -= 8; }),
                ElementsAre(AllOf(HasSubstr("a: the mark says"), HasSubstr("the log gives"))));
}

/// What was prepared before the log began is another thing for each generation of the slot.
TEST_F(AuditTest, WhatWasRecordedBeforeAMarkDoesNotHangOnClocks)
{
    const model::MemberId id{.group = "shop", .member = "a"};
    repo::Identities identities(world_.storage(), id);
    auto record = [&](const std::string& reason, base::Duration off) {
        auto context = world_.context();
        auto lease = repo::Lease::acquire(world_.storage(), "shop", "log", context.owner(),
                                          {.renew = false});
        auto next = identities.latest()->value;
        next.recorded = world_.clock().now() + off;
        next.reason = reason;
        identities.append(lease.get(), next);
    };
    auto reason_at_latest = [&] {
        auto stored = repo::Marks(world_.storage(), "shop").need("latest");
        return identity_at(world_.context(), id, mark_place(stored)).reason;
    };
    record("by a clock that is behind", -std::chrono::hours{24});
    EXPECT_EQ(reason_at_latest(), "init");
    place_mark(world_.context(), {});
    EXPECT_EQ(reason_at_latest(), "by a clock that is behind");
    record("by a clock that is ahead", std::chrono::hours{24});
    place_mark(world_.context(), {});
    EXPECT_EQ(reason_at_latest(), "by a clock that is ahead");
    EXPECT_THAT(audit().differences, IsEmpty());
}

TEST_F(AuditTest, AVerdictThatWasTurned)
{
    ASSERT_FALSE(mark_.at.in_doubt.empty());
    ASSERT_EQ(mark_.at.in_doubt[0].verdict.decision, model::Decision::commit);
    EXPECT_THAT(differences_after([](model::Mark& mark) {
                    mark.at.in_doubt[0].verdict.decision = model::Decision::rollback;
                }),
                ElementsAre(HasSubstr("the mark says rollback, the log gives commit")));
}

TEST_F(AuditTest, ABranchInDoubtThatIsMissing)
{
    EXPECT_THAT(differences_after(
                    [](model::Mark& mark) { mark.at.in_doubt.erase(mark.at.in_doubt.begin()); }),
                ElementsAre(HasSubstr("in doubt by the log, not by the mark")));
}

TEST_F(AuditTest, ABranchInDoubtThatIsInvented)
{
    EXPECT_THAT(differences_after([](model::Mark& mark) {
                    mark.at.in_doubt.push_back(mark.at.in_doubt[0]);
                    mark.at.in_doubt.back().branch.gid = "nobody's";
                }),
                ElementsAre(HasSubstr("nobody's: the mark has it in doubt, the log does not")));
}

TEST_F(AuditTest, ASpanningTransactionThatIsMissing)
{
    ASSERT_FALSE(mark_.at.spanning.empty());
    auto id = mark_.at.spanning[0].global_id;
    auto differences = differences_after(
        [](model::Mark& mark) { mark.at.spanning.erase(mark.at.spanning.begin()); });
    EXPECT_EQ(differences.size(), mark_.at.spanning[0].parts.size());
    EXPECT_THAT(differences,
                Each(AllOf(HasSubstr("spanning transactions: the log has"), HasSubstr(id))));
}

TEST_F(AuditTest, APartInAnotherState)
{
    auto differences = differences_after([](model::Mark& mark) {
        auto& part = mark.at.spanning[0].parts[0];
        part.state = part.state == model::StateAt::committed ? model::StateAt::rolled_back
                                                             : model::StateAt::committed;
    });
    EXPECT_THAT(differences, ElementsAre(HasSubstr("spanning transactions: the mark has"),
                                         HasSubstr("spanning transactions: the log has")));
}

TEST_F(AuditTest, AnOpenTransactionThatIsNotCarried)
{
    ASSERT_FALSE(mark_.table.branches.empty());
    EXPECT_THAT(differences_after([](model::Mark& mark) { mark.table.branches.pop_back(); }),
                ElementsAre(AllOf(HasSubstr("open transactions: the log has"),
                                  HasSubstr(mark_.table.branches.back().gid))));
}

TEST_F(AuditTest, FlagsThatWereTurned)
{
    EXPECT_THAT(
        differences_after([](model::Mark& mark) {
            mark.flags.two_phase_only = !mark.flags.two_phase_only;
            mark.flags.heuristic_damage = true;
            mark.flags.differs_from_production = true;
            mark.flags.unknown_verdicts = true;
            mark.flags.unknown_finishes = true;
            mark.flags.relies_on_clocks = true;
        }),
        ElementsAre(HasSubstr("two_phase_only: "), HasSubstr("heuristic_damage: "),
                    HasSubstr("differs_from_production: "), HasSubstr("unknown_verdicts: "),
                    HasSubstr("unknown_finishes: "),
                    HasSubstr("relies_on_clocks: the mark says true, the log gives false")));
}

/// What happened after a mark is no difference, nor is what was let go of a dead branch.
TEST_F(AuditTest, LogOfAnAbandonedBranchThatIsGoneIsNoDifference)
{
    back_up_log(world_.context()); // so that a piece ends at the fork
    auto fork = world_.server(0).insert_position().offset;
    for (std::size_t i = 0; i < 2; ++i)
        world_.server(i).prepare("torn");
    world_.server(1).finish("torn", true);
    back_up_log(world_.context());
    world_.server(0).promote(fork);
    auto mark = place_mark(world_.context(), {}).mark.value;
    ASSERT_TRUE(mark.flags.lost_prepares);
    EXPECT_THAT(audit().differences, IsEmpty());
    model::MemberId id{.group = "shop", .member = "a"};
    std::size_t removed = 0;
    for (const auto& piece : repo::LogCatalog::load(world_.storage(), id).pieces) {
        if (piece.range.epoch != 1 || piece.range.from < fork) continue;
        world_.storage().remove(piece.key);
        world_.storage().remove(piece.key + ".idx");
        ++removed;
    }
    ASSERT_GT(removed, 0U);
    auto report = audit();
    EXPECT_FALSE(report.recomputed.flags.lost_prepares) << "nothing shows it any more";
    EXPECT_THAT(report.differences, IsEmpty());
}

/// What lies between a mark and the one before it is kept with it, so it is missed.
TEST_F(AuditTest, LogBehindTheMarkBeforeThatIsGoneIsSaid)
{
    auto from = world_.server(0).insert_position().offset;
    world_.work();
    back_up_log(world_.context());
    auto to = world_.server(0).insert_position().offset;
    world_.server(0).noise(std::size_t{2} *
                           engine::fake::kSegmentSize); // so that reading can begin behind it
    back_up_log(world_.context());
    place_mark(world_.context(), {});
    EXPECT_EQ(code_of_audit(world_.context()), base::Code::ok);
    // The end of the mark before is in a piece of its own.
    ASSERT_LE(mark_.members[0].e, from);
    ASSERT_GT(remove_log(world_.storage(), "a", mark_.members[0].log_end, to), 0U);
    EXPECT_EQ(code_of_audit(world_.context()), base::Code::log_gap);
}

/// An app that tries again after a failover uses its id twice. Only the abandoned branch shows it.
TEST_F(AuditTest, AnIdThatWasLostAndUsedAgainIsPassedOver)
{
    auto now = audit().recomputed;
    auto stored = mark_;
    ASSERT_FALSE(stored.at.in_doubt.empty());
    auto& doubt = stored.at.in_doubt[0];
    doubt.verdict.decision = model::Decision::unknown;
    doubt.verdict.reason = model::Reason::ambiguous_id;
    stored.flags.unknown_verdicts = true;
    EXPECT_FALSE(compare_proof(stored, now, {.whole = true, .complete_since = {}}).empty());
    auto lost = doubt.branch;
    lost.finish = model::Finish::lost;
    lost.prepare_start += 8;
    for (auto& transaction : stored.at.spanning) {
        if (transaction.global_id == lost.global_id)
            transaction.parts.push_back({.branch = lost, .state = model::StateAt::lost});
    }
    EXPECT_THAT(compare_proof(stored, now, {.whole = true, .complete_since = {}}), IsEmpty());
    now.at.in_doubt[0].verdict.decision = model::Decision::commit;
    stored.at.in_doubt[0].verdict.decision = model::Decision::rollback;
    EXPECT_THAT(compare_proof(stored, now, {.whole = true, .complete_since = {}}),
                ElementsAre(HasSubstr("the mark says rollback, the log gives commit")));
}

/// A group that worked for long before its first backup; retention then keeps no log from before
/// the backup.
class FirstMarkTest : public testing::Test {
protected:
    FirstMarkTest() { live(); }

    void prepare(const std::string& gid)
    {
        for (std::size_t i : {0U, 1U})
            world_.server(i).prepare(gid);
    }

    void live()
    {
        prepare("early");
        world_.server(0).prepare("across");
        back_up_log(world_.context());
        for (std::size_t i : {0U, 1U}) {
            early_end_.push_back(world_.server(i).insert_position().offset);
            world_.server(i).noise(std::size_t{2} * engine::fake::kSegmentSize);
        }
        back_up_log(world_.context());
        prepare("late");
        prepare("half");
        world_.server(0).finish("half", true);
        // Ends between the mark's b and r.
        world_.server(0).on_operation([this](const std::string& operation) {
            if (operation != "place_restore_point" || across_ended_) return;
            across_ended_ = true;
            world_.server(0).finish("across", true);
        });
        back_up_group(world_.context(), {});
        world_.server(0).on_operation({});
    }

    void let_early_log_go()
    {
        for (std::size_t i : {0U, 1U})
            ASSERT_GT(
                remove_log(world_.storage(), world_.group().members[i].name, 0, early_end_[i]), 0U);
    }

    std::vector<std::string> differences_with(const std::string& gid, model::Decision decision)
    {
        auto stored = repo::Marks(world_.storage(), "shop").need("latest");
        for (auto& doubt : stored.value.at.in_doubt)
            if (doubt.branch.member == "b" && doubt.branch.gid == gid)
                doubt.verdict.decision = decision;
        store_again(world_.storage(), stored);
        return audit_mark(world_.context(), "latest").differences;
    }

    NewGroup world_;
    std::vector<model::Offset> early_end_;
    bool across_ended_ = false;
};

TEST_F(FirstMarkTest, ItsEarlyLogMayGo)
{
    auto before = audit_mark(world_.context(), "latest");
    EXPECT_THAT(before.differences, IsEmpty());
    EXPECT_TRUE(before.whole);
    ASSERT_EQ(before.mark.value.at.in_doubt.size(), 5U);
    let_early_log_go();
    auto after = audit_mark(world_.context(), "latest");
    EXPECT_THAT(after.differences, IsEmpty());
    EXPECT_FALSE(after.whole);
    EXPECT_EQ(after.older_gone.size(), 2U);
}

TEST_F(FirstMarkTest, AVerdictThatTheRestOfTheLogDecidesIsCompared)
{
    let_early_log_go();
    EXPECT_THAT(differences_with("half", model::Decision::rollback),
                ElementsAre(HasSubstr("b half: the mark says rollback, the log gives unknown")));
}

TEST_F(FirstMarkTest, ACommitThatNothingShowsIsADifference)
{
    let_early_log_go();
    EXPECT_THAT(differences_with("late", model::Decision::commit),
                ElementsAre(HasSubstr("b late: the mark says commit, the log gives unknown")));
}

TEST_F(FirstMarkTest, WithoutTheLogAroundItNothingIsProven)
{
    ASSERT_GT(remove_log(world_.storage(), "a", 0, model::Offset{1} << 60), 0U);
    EXPECT_EQ(code_of_audit(world_.context()), base::Code::log_gap);
}

} // namespace
} // namespace tidemark::job
