#include "model/commits_to_check.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

constexpr Offset kRecord = 10;

TransactionEvent event_at(EventKind kind, Offset start, std::uint32_t xid, std::string gid = {})
{
    return {.kind = kind,
            .epoch = 1,
            .start = start,
            .end = start + kRecord,
            .xid = xid,
            .gid = std::move(gid),
            .at = base::Time{std::chrono::milliseconds{1'000'000 + start}}};
}

TransactionEvent prepared(Offset start, std::uint32_t xid, std::string gid)
{
    return event_at(EventKind::prepare, start, xid, std::move(gid));
}

TransactionEvent committed(Offset start, std::uint32_t xid)
{
    return event_at(EventKind::commit, start, xid);
}

/// b 400, r 500, e 600; "d" coordinates, "a" and "b" have branches.
struct Group {
    std::vector<TransactionEvent> d, a, b;
    std::vector<DecisionTable> tables = {{"d", "public.outcome.gid"}};

    CutInput input() const
    {
        CutInput out;
        for (const auto& [name, events] :
             {std::pair{"d", &d}, std::pair{"a", &a}, std::pair{"b", &b}}) {
            CutMember member{.b = 400, .r = 500, .r_end = 510, .e = 600};
            member.log.name = name;
            member.log.complete_since = 100;
            member.log.events = *events;
            out.members.push_back(std::move(member));
        }
        out.anchor = {{{"d", 110}, {"a", 110}, {"b", 110}}};
        out.decision_tables = tables;
        return out;
    }
    Mark mark(const Sweep& since = {}) const
    {
        auto in = input();
        auto cut = compute_cut(in);
        Mark out;
        out.decision_tables = tables;
        out.decided = late_commits(in, cut, since);
        out.at = cut.at;
        out.flags = cut.flags;
        return out;
    }
};

Decision verdict(const TableJudgement& judgement, const char* member, const char* gid)
{
    auto found = judgement.verdicts.find({member, gid});
    return found == judgement.verdicts.end() ? Decision::unknown : found->second.decision;
}

TEST(DecisionTableTest, TheRowIsTheVerdict)
{
    Group group;
    group.a = {prepared(200, 1, "yes"), prepared(220, 2, "no")};
    group.b = {prepared(200, 7, "yes"), prepared(220, 8, "no")};
    auto mark = group.mark();
    EXPECT_FALSE(mark.flags.two_phase_only);
    ASSERT_EQ(mark.at.in_doubt.size(), 4U);
    for (const auto& doubt : mark.at.in_doubt) {
        EXPECT_EQ(doubt.verdict.decision, Decision::unknown);
        EXPECT_EQ(doubt.verdict.reason, Reason::one_phase);
        EXPECT_NE(doubt.verdict.evidence.find("public.outcome.gid of d decides"),
                  std::string::npos);
    }
    EXPECT_EQ(ids_to_ask(mark), (std::set<std::string>{"no", "yes"}));
    auto judgement = judge_by_tables(mark, {{"d", {"yes"}}});
    EXPECT_TRUE(judgement.contradictions.empty());
    for (const char* member : {"a", "b"}) {
        EXPECT_EQ(verdict(judgement, member, "yes"), Decision::commit);
        EXPECT_EQ(verdict(judgement, member, "no"), Decision::rollback);
    }
}

TEST(DecisionTableTest, ACommitWithoutARowContradicts)
{
    Group group;
    group.a = {prepared(200, 1, "g"), committed(300, 1)};
    group.b = {prepared(200, 7, "g")};
    auto mark = group.mark({{"d", 350}, {"a", 350}, {"b", 350}});
    EXPECT_TRUE(mark.decided.empty()) << "it was committed before";
    EXPECT_TRUE(judge_by_tables(mark, {{"d", {"g"}}}).contradictions.empty());
    auto judgement = judge_by_tables(mark, {{"d", {}}});
    ASSERT_EQ(judgement.contradictions.size(), 1U);
    EXPECT_NE(judgement.contradictions[0].find("g is committed at a"), std::string::npos);
}

/// Nothing is in doubt any more: the coordinator's own part may lie after its cut all the same.
TEST(DecisionTableTest, ALateCommitNeedsItsRow)
{
    Group group;
    group.a = {prepared(200, 1, "early"), committed(300, 1),         prepared(320, 2, "late"),
               committed(450, 2),         prepared(460, 3, "after"), committed(550, 3)};
    auto mark = group.mark({{"d", 390}, {"a", 390}, {"b", 390}});
    ASSERT_EQ(mark.decided.size(), 1U);
    EXPECT_EQ(mark.decided[0].gid, "late");
    EXPECT_EQ(mark.decided[0].member, "a");
    EXPECT_EQ(mark.decided[0].commit, (LogPosition{1, 450}));
    EXPECT_EQ(judge_by_tables(mark, {{"d", {}}}).contradictions.size(), 1U);
    EXPECT_TRUE(judge_by_tables(mark, {{"d", {"late"}}}).contradictions.empty());
    // Of "after" nothing is committed inside: it is undecided there, and so everywhere.
    EXPECT_EQ(verdict(judge_by_tables(mark, {{"d", {"late"}}}), "a", "after"), Decision::rollback);
}

/// The gid of a commit may stand in the table of the mark before.
TEST(DecisionTableTest, ALateCommitIsKnownFromTheTableOfTheMarkBefore)
{
    Group group;
    group.a = {prepared(200, 1, "g")};
    auto first = compute_cut(group.input());
    Group later;
    later.a = {committed(1450, 1)};
    auto input = later.input();
    for (auto& member : input.members) {
        member.b += 1000;
        member.r += 1000;
        member.r_end += 1000;
        member.e += 1000;
    }
    input.previous = &first.table;
    input.anchor.clear();
    auto cut = compute_cut(input);
    auto late = late_commits(input, cut, {{"d", 1390}, {"a", 1390}, {"b", 1390}});
    ASSERT_EQ(late.size(), 1U);
    EXPECT_EQ(late[0].gid, "g");
}

/// A server that was failed over gives out the xids of the abandoned tail once more.
TEST(DecisionTableTest, TheTailOfAFailoverNamesNoCommitBehindIt)
{
    Group group;
    group.a = {prepared(440, 2, "here"), committed(460, 2), prepared(430, 2, "tail"),
               committed(470, 2)};
    group.a[0].epoch = group.a[1].epoch = 2;
    auto input = group.input();
    input.members[1].log.history = History{2, {{.epoch = 1, .left_at = 420}}};
    auto late = late_commits(input, compute_cut(input), {});
    ASSERT_EQ(late.size(), 1U);
    EXPECT_EQ(late[0].gid, "here");
    EXPECT_EQ(late[0].commit, (LogPosition{2, 460}));
}

/// And so does the table of a mark that knows what was lost there.
TEST(DecisionTableTest, WhatTheTableHasLostNamesNoCommitAndIsPreparedNowhere)
{
    Group group;
    group.a = {prepared(200, 2, "here")};
    auto first = compute_cut(group.input());
    auto lose = [&](const char* member, std::uint32_t xid, const char* gid) {
        first.table.branches.push_back({.member = member,
                                        .epoch = 1,
                                        .xid = xid,
                                        .gid = gid,
                                        .global_id = gid,
                                        .prepare_start = 560,
                                        .prepare_end = 570,
                                        .finish = Finish::lost});
    };
    lose("a", 2, "tail");
    lose("d", 9, "here");
    Group later;
    later.a = {committed(1450, 2)};
    auto input = later.input();
    for (auto& member : input.members) {
        member.log.history = History{2, {{.epoch = 1, .left_at = 550}}};
        member.log.events.clear();
        member.b += 1000;
        member.r += 1000;
        member.r_end += 1000;
        member.e += 1000;
    }
    input.members[1].log.events = later.a;
    input.members[1].log.events[0].epoch = 2;
    input.previous = &first.table;
    input.anchor.clear();
    auto late = late_commits(input, compute_cut(input), {{"d", 1390}, {"a", 1390}, {"b", 1390}});
    ASSERT_EQ(late.size(), 1U);
    EXPECT_EQ(late[0].gid, "here");
}

// rule 3, 7: what d decided may lie above its cut
TEST(DecisionTableTest, ACutBelowBAsksFromTheRestorePointsOfTheMarkBefore)
{
    Group group;
    group.a = {prepared(200, 1, "told"), prepared(210, 2, "between"), prepared(220, 3, "after"),
               committed(450, 1), committed(550, 2)};
    auto first = compute_cut(group.input());
    group.a.push_back(committed(750, 3));
    auto input = group.input();
    Mark before;
    before.decision_tables = group.tables;
    before.table = first.table;
    before.decided = {
        {.member = "a", .gid = "gone", .global_id = "gone", .commit = {1, 300}, .carried = true},
        {.member = "a", .gid = "late", .global_id = "late", .commit = {1, 301}}};
    input.previous = &before.table;
    input.created = before.created + kRowsStay + std::chrono::seconds{1};
    input.anchor.clear();
    for (auto& member : input.members) {
        member.b += 1000;
        member.r += 1000;
        member.r_end += 1000;
        member.e += 1000;
    }
    auto cut = compute_cut(input);
    const Sweep since{{"d", 1390}, {"a", 1390}, {"b", 1390}};
    auto gids = [&] {
        std::vector<std::string> out;
        for (const auto& commit : commits_to_check(input, cut, since, &before).commits)
            out.push_back(commit.gid + (commit.inherited ? " inherited" : "") +
                          (commit.carried ? " carried" : ""));
        std::ranges::sort(out);
        return out;
    };
    EXPECT_EQ(gids(), std::vector<std::string>{"gone inherited carried"});
    cut.members[0].cut.offset = 1350; // of d
    EXPECT_EQ(gids(), (std::vector<std::string>{"after", "between", "gone inherited carried"}));
    // A failover's are carried on.
    cut.members[0].cut.offset = 1500;
    input.members[0].log.history = History{2, {{.epoch = 1, .left_at = 650}}};
    EXPECT_EQ(gids(), (std::vector<std::string>{"after carried", "between carried",
                                                "gone inherited carried"}));
    // The group says something else about its tables: somebody has looked.
    before.decision_tables = {{"d", "none"}};
    EXPECT_EQ(gids(), (std::vector<std::string>{"after carried", "between carried"}));
    input.members[0].log.history = History{1};
    EXPECT_TRUE(gids().empty());
}

// rule 13: rows are tidied, so one that an earlier mark asked for already may be gone for good
TEST(DecisionTableTest, WhatAnEarlierMarkFoundIsDoubtedAndNotRefused)
{
    Mark mark;
    mark.decision_tables = {{"d", "public.outcome.gid"}};
    mark.decided = {{.member = "a",
                     .gid = "old",
                     .global_id = "old",
                     .commit = {1, 300},
                     .carried = true,
                     .inherited = true}};
    auto judgement = judge_by_tables(mark, {{"d", {}}});
    EXPECT_TRUE(judgement.contradictions.empty());
    ASSERT_EQ(judgement.doubts.size(), 1U);
    EXPECT_NE(judgement.doubts[0].find("old is committed at a, and its decision row is absent: it "
                                       "may have gone with the failover of d"),
              std::string::npos);
    EXPECT_TRUE(judge_by_tables(mark, {{"d", {"old"}}}).doubts.empty());
    // Another branch of it was committed just before this mark.
    mark.decided.push_back({.member = "b", .gid = "old", .global_id = "old", .commit = {1, 450}});
    judgement = judge_by_tables(mark, {{"d", {}}});
    EXPECT_TRUE(judgement.doubts.empty());
    ASSERT_EQ(judgement.contradictions.size(), 1U);
    // Found by this mark itself.
    mark.decided = {
        {.member = "a", .gid = "new", .global_id = "new", .commit = {1, 300}, .carried = true}};
    EXPECT_EQ(judge_by_tables(mark, {{"d", {}}}).contradictions.size(), 1U);
}

// rule 13: a mark with all of them for ever would grow beyond what can be read
TEST(DecisionTableTest, OfAFailoverWithManyCommitsTheLowestAreListed)
{
    constexpr std::uint32_t kMany = 10'400, kFew = 100;
    Group group;
    for (std::uint32_t i = 1; i <= kMany; ++i)
        group.a.push_back(prepared(1000 + 10 * i, i, "a" + std::to_string(i)));
    for (std::uint32_t i = 1; i <= kMany; ++i)
        group.a.push_back(committed(200'000 + 10 * i, i));
    for (std::uint32_t i = 1; i <= kFew; ++i)
        group.b.push_back(prepared(1000 + 10 * i, i, "b" + std::to_string(i)));
    for (std::uint32_t i = 1; i <= kFew; ++i)
        group.b.push_back(committed(100'000 + 10 * i, i));
    auto input = group.input();
    for (auto& member : input.members) {
        member.b += 900'000;
        member.r += 900'000;
        member.r_end += 900'000;
        member.e += 900'000;
    }
    // The last two of a came when the mark had begun.
    const Offset began = 200'000 + 10 * (kMany - 1);
    const Sweep since{{"d", began}, {"a", began}, {"b", began}};
    input.members[0].log.history = History{2, {{.epoch = 1, .left_at = 150'000}}};
    auto cut = compute_cut(input);
    auto first = commits_to_check(input, cut, since, nullptr);
    EXPECT_EQ(first.commits.size(), kMostCarried + 2);
    EXPECT_EQ(first.left_out, kMany + kFew - kMostCarried - 2);
    auto count = [](const CommitsToCheck& found, const char* member) {
        return std::ranges::count(found.commits, member, &LateCommit::member);
    };
    // Just behind the mark before lies what the tail had decided, and the newest is nobody's loss.
    auto highest = [&](const CommitsToCheck& found) {
        Offset out = 0;
        for (const auto& commit : found.commits)
            if (commit.member == "a" && commit.commit.offset < began)
                out = std::max(out, commit.commit.offset);
        return out;
    };
    EXPECT_EQ(count(first, "b"), kFew);
    EXPECT_EQ(highest(first), 200'000 + 10 * (kMostCarried - kFew));
    Mark mark;
    mark.decision_tables = group.tables;
    list_commits(mark, first);
    auto second = carried_commits(input, &mark);
    EXPECT_EQ(second.commits.size(), kMostCarried);
    EXPECT_EQ(second.left_out, kMany + kFew - kMostCarried);
    EXPECT_EQ(count(second, "b"), kFew);
    EXPECT_EQ(highest(second), 200'000 + 10 * (kMostCarried - kFew));
    for (const auto& commit : second.commits)
        EXPECT_LT(commit.commit.offset, began) << "those found with the mark go first";
}

TEST(DecisionTableTest, TwoPhaseTransactionsOfTheCoordinatorAreJudgedAsEver)
{
    Group group;
    group.d = {prepared(190, 4, "both"), prepared(210, 5, "half"), committed(410, 5)};
    group.a = {prepared(200, 1, "both"), prepared(220, 2, "half")};
    auto mark = group.mark();
    EXPECT_TRUE(mark.decided.empty());
    for (const auto& doubt : mark.at.in_doubt)
        EXPECT_EQ(doubt.verdict.decision,
                  doubt.branch.gid == "both" ? Decision::rollback : Decision::commit);
    auto judgement = judge_by_tables(mark, {{"d", {}}});
    EXPECT_TRUE(judgement.contradictions.empty());
    EXPECT_TRUE(judgement.verdicts.empty());
}

TEST(DecisionTableTest, WithoutATableNothingIsRolledBack)
{
    Group group;
    group.tables = {{"d", "none"}};
    group.a = {prepared(200, 1, "g")};
    auto mark = group.mark();
    EXPECT_TRUE(mark.flags.two_phase_only);
    EXPECT_TRUE(mark.flags.unknown_verdicts);
    EXPECT_FALSE(has_decision_tables(mark));
    EXPECT_EQ(mark.at.in_doubt.at(0).verdict.decision, Decision::unknown);
    // One that is committed somewhere needs no table.
    group.b = {prepared(200, 7, "g"), committed(300, 7)};
    EXPECT_EQ(group.mark().at.in_doubt.at(0).verdict.decision, Decision::commit);
    // And without a word about it a group is two-phase.
    group.tables.clear();
    group.b.clear();
    EXPECT_EQ(group.mark().at.in_doubt.at(0).verdict.decision, Decision::rollback);
    EXPECT_TRUE(group.mark().flags.two_phase_only);
}

TEST(DecisionTableTest, ATableMayHoldTheBranchesGids)
{
    Group group;
    group.a = {prepared(200, 1, "citus_0_1_2_3")};
    group.b = {prepared(200, 7, "citus_0_1_2_4")};
    auto input = group.input();
    for (auto& member : input.members)
        member.log.pattern = GidPattern::parse("citus");
    Mark mark;
    mark.decision_tables = group.tables;
    mark.at = compute_cut(input).at;
    auto judgement = judge_by_tables(mark, {{"d", {"citus_0_1_2_4"}}});
    EXPECT_EQ(verdict(judgement, "a", "citus_0_1_2_3"), Decision::commit);
    EXPECT_EQ(verdict(judgement, "b", "citus_0_1_2_4"), Decision::commit);
}

/// What is unknown for another reason is not rolled back for want of a row.
TEST(DecisionTableTest, AnotherDoubtStays)
{
    Group group;
    auto input = group.input();
    input.members[1].log.seeds = {{.xid = 1, .gid = "old"}};
    Mark mark;
    mark.decision_tables = group.tables;
    mark.at = compute_cut(input).at;
    ASSERT_EQ(mark.at.in_doubt.size(), 1U);
    EXPECT_EQ(mark.at.in_doubt[0].verdict.reason, Reason::seeded);
    EXPECT_TRUE(judge_by_tables(mark, {{"d", {}}}).verdicts.empty());
    EXPECT_EQ(verdict(judge_by_tables(mark, {{"d", {"old"}}}), "a", "old"), Decision::commit);
}

TEST(DecisionTableTest, NamesOfColumns)
{
    auto column = parse_table_column("public.Decision Log.gid");
    ASSERT_TRUE(column);
    EXPECT_EQ(*column, (TableColumn{"public", "Decision Log", "gid"}));
    for (const char* bad :
         {"", "none", "a.b", ".b.c", "a..c", "a.b.", "a.b.c.d", "a.\"b\".c", "a.b\n.c"})
        EXPECT_FALSE(parse_table_column(bad)) << bad;
    EXPECT_FALSE(parse_table_column("a.b." + std::string(64, 'c')));
}

} // namespace
} // namespace tidemark::model
