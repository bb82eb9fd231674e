// A stored mark that does not say what the log says is found, whatever it was that changed.

#include "job/audit.h"
#include "job/mark.h"
#include "job/world_testing.h"
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
        world_.storage().remove(stored.object.key);
        EXPECT_EQ(store::put(world_.storage(), stored.object.key,
                             repo::encode_mark(stored.value, stored.header)),
                  store::Created::yes);
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

} // namespace
} // namespace tidemark::job
