#include "model/cut_oracle_test.h"
#include "model/simulated_group_test.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace tidemark::model {
namespace {

using TrueBranch = SimulatedGroup::TrueBranch;

struct Totals {
    std::size_t marks = 0;
    std::size_t searched = 0;
    std::size_t retreated = 0;
    std::size_t in_doubt = 0;
    std::size_t commits = 0;
    std::size_t rollbacks = 0;
    std::size_t unknowns = 0;
    std::size_t ambiguous = 0;
    std::size_t not_greatest = 0;
    std::size_t violations = 0;
    std::size_t by_clocks = 0;
    std::size_t torn = 0;
    std::size_t told = 0;
    std::size_t half_lost = 0;
};

/// Follows one simulated group through several marks and compares each with the truth.
class Follower {
public:
    Follower(SimulatedGroup::Options options, Totals& totals)
        : options_(options), group_(options), totals_(totals)
    {
    }

    void follow(std::size_t marks)
    {
        group_.begin();
        std::optional<OpenTransactions> table;
        for (std::size_t i = 0; i < marks && !testing::Test::HasFailure(); ++i) {
            group_.run(group_.random(25));
            if (i > 0 && group_.chance(30)) disturbed_ = group_.join() || disturbed_;
            if (options_.losses && i > 0 && group_.chance(40)) {
                group_.lose_log();
                disturbed_ = true;
            }
            if (options_.failovers && table && group_.chance(60)) {
                auto member = group_.random(group_.member_count());
                group_.fail_over(member, table->members.at(group_.member_name(member)).e);
            }
            CutInput input = group_.place_mark(table ? &*table : nullptr);
            CutResult result = compute_cut(input);
            group_.run(group_.random(12)); // what comes later may prove the cut wrong
            ++totals_.marks;
            if (!result.usable()) {
                ++totals_.violations;
                EXPECT_TRUE(options_.reuse_ids);
                continue; // the mark is not placed; the next one starts from the same table
            }
            bool deceived = options_.lying_clocks && options_.reuse_ids;
            if (!deceived || !result.flags.relies_on_clocks) check_cut(input, result);
            if (!deceived) { // the verdicts of reused ids depend on clocks
                check_verdicts(input, result);
                check_restored(result);
                check_evaluation(input, result);
            }
            if (!options_.reuse_ids) check_any_vector(input);
            if (options_.failovers) check_lost(result);
            table = result.table;
            group_.mark_is_placed();
        }
    }

private:
    static Positions cut_of(const CutResult& result)
    {
        Positions cut;
        for (const MemberCut& member : result.members)
            cut.push_back(member.cut.offset);
        return cut;
    }

    void check_cut(const CutInput& input, const CutResult& result)
    {
        Positions top;
        for (const CutMember& member : input.members)
            top.push_back(member.r);
        Positions cut = cut_of(result);
        Positions greatest = greatest_by_retreating(group_, top);
        if (auto searched = greatest_by_search(group_, top)) {
            ++totals_.searched;
            EXPECT_EQ(*searched, greatest) << "the oracles disagree";
        }
        EXPECT_TRUE(consistent(group_, cut));
        bool bounded = true;
        for (std::size_t m = 0; m < cut.size(); ++m) {
            EXPECT_GE(greatest[m], input.members[m].b) << "the argument for b is wrong";
            EXPECT_LE(cut[m], greatest[m]);
            bounded = bounded && cut[m] >= input.members[m].b;
        }
        EXPECT_EQ(bounded, result.violations.empty());
        if (!disturbed_ && !options_.reuse_ids && !outside_unknown(result)) {
            EXPECT_TRUE(bounded);
            EXPECT_EQ(cut, greatest);
            EXPECT_TRUE(result.at.torn.empty());
        }
        totals_.retreated += cut != top;
        totals_.not_greatest += cut != greatest;
        totals_.violations += !bounded;
        totals_.by_clocks += result.flags.relies_on_clocks;
    }

    /// An unknown commit after b keeps the cut below the greatest.
    static bool outside_unknown(const CutResult& result)
    {
        return std::ranges::any_of(result.members, [](const MemberCut& member) {
            return member.retreat && member.retreat->global_id.empty();
        });
    }

    const TrueBranch* find(const Branch& branch) const
    {
        for (const TrueBranch& truth : group_.branches()) {
            if (group_.member_name(truth.member) == branch.member && truth.xid == branch.xid &&
                truth.prepare_start) {
                return &truth;
            }
        }
        return nullptr;
    }

    bool committed_inside(const TrueBranch& branch, const Positions& cut) const
    {
        const auto& parts = group_.transactions()[branch.transaction].branches;
        return std::ranges::any_of(parts, [&](std::size_t b) {
            const TrueBranch& part = group_.branches()[b];
            return part.member < cut.size() && part.committed_in(cut[part.member]);
        });
    }

    void check_verdicts(const CutInput& input, const CutResult& result)
    {
        Positions cut = cut_of(result);
        std::set<const TrueBranch*> expected;
        for (const TrueBranch& branch : group_.branches()) {
            if (branch.member < cut.size() && branch.in(cut[branch.member]) &&
                !branch.over_in(cut[branch.member])) {
                expected.insert(&branch);
            }
        }
        for (const InDoubt& entry : result.at.in_doubt) {
            const TrueBranch* truth = find(entry.branch);
            ASSERT_TRUE(truth) << entry.branch.gid;
            EXPECT_EQ(expected.erase(truth), 1U)
                << entry.branch.gid << " is not in doubt, or twice";
            check_verdict(entry, committed_inside(*truth, cut), input);
            if (group_.transactions()[truth->transaction].told && !committed_inside(*truth, cut)) {
                ++totals_.told;
                EXPECT_EQ(entry.verdict.reason, Reason::commit_abandoned)
                    << entry.branch.gid << ": " << entry.verdict.evidence;
            }
        }
        EXPECT_TRUE(expected.empty()) << "a branch in doubt is missing";
    }

    void check_verdict(const InDoubt& entry, bool committed, const CutInput& input)
    {
        Decision decision = entry.verdict.decision;
        ++totals_.in_doubt;
        totals_.commits += decision == Decision::commit;
        totals_.rollbacks += decision == Decision::rollback;
        totals_.unknowns += decision == Decision::unknown;
        totals_.ambiguous += entry.verdict.reason == Reason::ambiguous_id;
        std::string what =
            entry.branch.gid + " at " + entry.branch.member + ": " + entry.verdict.evidence;
        EXPECT_NE(decision, committed ? Decision::rollback : Decision::commit) << what;
        EXPECT_FALSE(entry.verdict.evidence.empty());
        if (options_.reuse_ids || options_.lying_clocks || disturbed_) return;
        if (entry.verdict.decision == Decision::unknown) {
            EXPECT_NE(entry.verdict.reason, Reason::unmatched_gid) << what;
            bool told = group_.transactions()[find(entry.branch)->transaction].told;
            if (!told && begun_after_anchor(entry.branch, input)) {
                ADD_FAILURE() << "nothing is missing, and yet: " << what;
            }
        }
    }

    /// Prepared well after everything was set up, with all its partners: no excuse for "unknown".
    bool begun_after_anchor(const Branch& branch, const CutInput& input) const
    {
        const auto& transaction = group_.transactions()[find(branch)->transaction];
        return std::ranges::all_of(transaction.branches, [&](std::size_t b) {
            const TrueBranch& part = group_.branches()[b];
            if (!part.prepare_start) return true;
            if (input.previous) {
                return *part.prepare_start >=
                       input.previous->members.at(group_.member_name(part.member)).e;
            }
            return input.anchor.size() == 2 &&
                   *part.prepare_start >= input.anchor[1].at(group_.member_name(part.member));
        });
    }

    /// Restores the cut in thought, settles by the verdicts, and looks at each transaction.
    void check_restored(const CutResult& result)
    {
        Positions cut = cut_of(result);
        std::map<const TrueBranch*, Decision> verdicts;
        for (const InDoubt& entry : result.at.in_doubt)
            verdicts[find(entry.branch)] = entry.verdict.decision;
        for (const auto& transaction : group_.transactions()) {
            std::set<bool> outcomes;
            bool unknown = false;
            for (std::size_t b : transaction.branches) {
                const TrueBranch& branch = group_.branches()[b];
                if (branch.member >= cut.size() || branch.lost) continue;
                auto verdict = verdicts.find(&branch);
                unknown =
                    unknown || (verdict != verdicts.end() && verdict->second == Decision::unknown);
                outcomes.insert(branch.committed_in(cut[branch.member]) ||
                                (verdict != verdicts.end() && verdict->second == Decision::commit));
            }
            EXPECT_TRUE(unknown || outcomes.size() <= 1) << transaction.id << " is half there";
        }
    }

    /// What a failover took of a transaction is told by the first mark that holds a commit of it,
    /// and of no other.
    void check_lost(const CutResult& result)
    {
        Positions cut = cut_of(result);
        std::set<std::string> named;
        for (const TransactionAt& lost : result.at.lost)
            named.insert(lost.global_id);
        std::set<std::string> half;
        for (const auto& transaction : group_.transactions()) {
            bool lost = false;
            bool committed = false;
            for (std::size_t b : transaction.branches) {
                const TrueBranch& part = group_.branches()[b];
                lost = lost || part.loss_stored;
                committed = committed || part.committed_in(cut[part.member]);
            }
            if (lost && committed) half.insert(transaction.id);
        }
        for (const std::string& id : named)
            EXPECT_TRUE(half.contains(id)) << id << " is not half lost";
        for (const std::string& id : half) {
            if (!half_lost_.insert(id).second) continue;
            ++totals_.half_lost;
            EXPECT_TRUE(named.contains(id)) << id << " is half lost";
        }
    }

    /// The auditor's way must find the same.
    static void check_evaluation(const CutInput& input, const CutResult& result)
    {
        std::vector<MemberLog> logs;
        Sweep at;
        Sweep b;
        Sweep r;
        Sweep e;
        for (std::size_t m = 0; m < input.members.size(); ++m) {
            const CutMember& member = input.members[m];
            logs.push_back(member.log);
            std::erase_if(logs.back().events, [&](const auto& event) {
                return event.end > member.e && event.epoch == member.log.history.current();
            });
            at[member.log.name] = result.members[m].cut.offset;
            b[member.log.name] = member.b;
            r[member.log.name] = member.r;
            e[member.log.name] = member.e;
        }
        std::vector<Sweep> sweeps = input.anchor;
        sweeps.insert(sweeps.end(), {b, r, e});
        EXPECT_EQ(evaluate_at(logs, at, input.previous, sweeps), result.at);
    }

    /// At some vector of positions, consistent or not: exactly the torn ones are called torn.
    void check_any_vector(const CutInput& input)
    {
        if (disturbed_) return;
        std::vector<MemberLog> logs;
        Sweep at;
        Positions vector;
        for (std::size_t m = 0; m < input.members.size(); ++m) {
            const CutMember& member = input.members[m];
            logs.push_back(member.log);
            auto starts = group_.record_starts(m, member.e);
            std::erase_if(starts, [&](Offset start) { return start < member.b; });
            vector.push_back(starts.empty() ? member.b : starts[group_.random(starts.size())]);
            at[member.log.name] = vector.back();
        }
        std::set<std::string> torn;
        for (const TransactionAt& transaction : evaluate_at(logs, at, input.previous).torn) {
            torn.insert(transaction.global_id);
        }
        auto truly = torn_in(group_, vector);
        EXPECT_EQ(torn, truly);
        totals_.torn += truly.size();
    }

    SimulatedGroup::Options options_;
    SimulatedGroup group_;
    Totals& totals_;
    bool disturbed_ = false; ///< a gap or a new member: more may be unknown
    std::set<std::string> half_lost_;
};

std::uint64_t first_seed()
{
    const char* text = std::getenv("TIDEMARK_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1;
}

std::size_t case_count(std::size_t normal)
{
    if (std::getenv("TIDEMARK_SEED")) return 1;
    const char* text = std::getenv("TIDEMARK_CASES");
    return text ? std::strtoull(text, nullptr, 10) : normal;
}

Totals follow_many(SimulatedGroup::Options options, std::size_t cases)
{
    Totals totals;
    std::uint64_t first = first_seed();
    for (std::uint64_t seed = first; seed < first + case_count(cases); ++seed) {
        options.seed = seed;
        std::mt19937_64 random(seed);
        SimulatedGroup::Options one = options;
        one.members = 2 + random() % 3;
        one.workers = 1 + random() % 4;
        one.joining = options.joining ? random() % 2 : 0;
        one.prehistory = random() % 12;
        if (options.losses) one.losses = random() % 2 == 0;
        SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed));
        Follower(one, totals).follow(1 + random() % 5);
        if (testing::Test::HasFailure()) break;
    }
    const std::pair<const char*, std::size_t> figures[] = {{"marks", totals.marks},
                                                           {"searched", totals.searched},
                                                           {"retreated", totals.retreated},
                                                           {"in_doubt", totals.in_doubt},
                                                           {"commits", totals.commits},
                                                           {"rollbacks", totals.rollbacks},
                                                           {"unknowns", totals.unknowns},
                                                           {"ambiguous", totals.ambiguous},
                                                           {"not_greatest", totals.not_greatest},
                                                           {"violations", totals.violations},
                                                           {"by_clocks", totals.by_clocks},
                                                           {"torn", totals.torn},
                                                           {"told", totals.told},
                                                           {"half_lost", totals.half_lost}};
    std::string line;
    for (auto [name, value] : figures) {
        testing::Test::RecordProperty(name, static_cast<int>(value));
        line += " " + std::string(name) + "=" + std::to_string(value);
    }
    std::printf("seeds from %llu:%s\n", static_cast<unsigned long long>(first), line.c_str());
    return totals;
}

TEST(CutPropertyTest, UniqueIds)
{
    Totals totals = follow_many({.max_skew = std::chrono::seconds{100}}, 1200);
    if (totals.marks < 1000) return;
    EXPECT_GT(totals.searched, totals.marks / 10);
    EXPECT_GT(totals.retreated, totals.marks / 20);
    EXPECT_GT(totals.rollbacks, totals.marks / 10);
    EXPECT_GT(totals.commits, totals.marks / 10);
    EXPECT_GT(totals.torn, totals.marks / 20);
}

TEST(CutPropertyTest, ClocksThatLieSplitNoIdThatIsUsedOnce)
{
    follow_many({.max_skew = std::chrono::seconds{100},
                 .clock_error = base::Duration{0},
                 .lying_clocks = true},
                400);
}

TEST(CutPropertyTest, ClocksThatLieSpoilNoCutThatDoesNotNeedThem)
{
    follow_many({.reuse_ids = true,
                 .same_participants = true,
                 .max_skew = std::chrono::seconds{100},
                 .clock_error = base::Duration{0},
                 .lying_clocks = true},
                500);
}

TEST(CutPropertyTest, SeveralBranchesAtAMember)
{
    follow_many({.many_branches = true}, 600);
}

TEST(CutPropertyTest, GapsAndMembersThatJoin)
{
    follow_many({.joining = 1, .losses = true}, 900);
}

// rule 5, 13
TEST(CutPropertyTest, FailoversThatLoseTheEndOfALog)
{
    Totals totals = follow_many({.failovers = true}, 900);
    if (totals.marks < 1000) return;
    EXPECT_GT(totals.told, 0U);
    EXPECT_GT(totals.half_lost, 0U);
}

TEST(CutPropertyTest, ReusedIdsWithoutClocks)
{
    Totals totals = follow_many({.reuse_ids = true, .same_participants = true}, 900);
    if (totals.marks < 1000) return;
    EXPECT_GT(totals.ambiguous, 0U);
}

TEST(CutPropertyTest, ReusedIdsWithClocks)
{
    Totals totals = follow_many({.reuse_ids = true,
                                 .max_skew = std::chrono::seconds{100},
                                 .clock_error = std::chrono::microseconds{300}},
                                900);
    if (totals.marks < 1000) return;
    EXPECT_LT(totals.ambiguous, totals.in_doubt / 10) << "clocks this good tell most uses apart";
    EXPECT_LT(totals.violations, totals.marks / 20);
}

TEST(CutPropertyTest, ReusedIdsWithPoorClocksGapsAndManyBranches)
{
    follow_many({.joining = 1,
                 .reuse_ids = true,
                 .same_participants = true,
                 .many_branches = true,
                 .losses = true,
                 .max_skew = std::chrono::seconds{100},
                 .clock_error = std::chrono::milliseconds{5}},
                900);
}

} // namespace
} // namespace tidemark::model
