// Retention against brute-force reachability, over random repositories.

#include "base/random.h"
#include "model/log_ranges.h"
#include "model/retention.h"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using std::chrono::hours;

constexpr Offset kUnit = 16;

bool whole(const std::vector<LogRange>& wanted, const std::vector<LogRange>& have)
{
    return subtract_ranges(wanted, have).empty();
}

/// A group whose history is made up: backups, pieces that overlap now and then, gaps, one change of
/// timeline, thousands of hours of marks.
struct Made {
    RetentionInput input;

    explicit Made(std::uint64_t seed) : random_(seed)
    {
        input.now = base::Time{hours{24 * 20000}};
        input.policy.keep_days = static_cast<int>(1 + below(60));
        input.policy.runs = below(5);
        for (const char* name : {"a", "b"})
            make_log(name);
        make_marks();
        make_sets();
        for (Number i = 1; i <= 30; ++i)
            input.runs.push_back({i, input.now - hours{3 * (30 - i) * 24}, below(4) == 0});
        for (const RetentionMark& mark : input.marks) {
            if (below(12) == 0) input.proven.insert(mark.number);
            if (below(20) == 0) input.held.emplace(mark.number, "held");
        }
    }

    std::uint64_t below(std::uint64_t bound) { return random_.next() % bound; }

private:
    void make_log(const std::string& name)
    {
        RetentionMember member;
        Offset end = kUnit;
        Epoch epoch = 1;
        std::optional<Offset> left;
        for (int i = 0; i < 60; ++i) {
            Offset to = end + kUnit * (1 + below(3));
            Offset from = below(6) == 0 && end > 2 * kUnit ? end - kUnit : end;
            if (below(25) == 0) from = end = end + kUnit; // a gap
            to = std::max(to, from + kUnit);
            member.pieces.push_back({.key = fmt::format("{}/{}/{}-{}", name, epoch, from, to),
                                     .range = {.epoch = epoch, .from = from, .to = to},
                                     .stored = input.now - hours{24 * (60 - i)}});
            if (!left && i == 30 && below(2) == 0) {
                left = to - kUnit;
                epoch = 2;
                to = *left;
            }
            end = to;
        }
        if (left) member.history = History{2, {{.epoch = 1, .left_at = *left}}};
        if (below(3) == 0) join_some(name, member);
        member.settled = LogPosition{epoch, end - kUnit * below(3)};
        Number count = below(6);
        for (Number i = 1; i <= count; ++i) {
            member.backups.push_back(
                {i, input.now - hours{Number{24} * 60 * (count - i) / std::max<Number>(count, 1)}});
            if (i > 1 && below(3) == 0) member.backups.back().stand_in = 1 + below(i - 1);
        }
        input.members.emplace(name, std::move(member));
    }

    void join_some(const std::string& name, RetentionMember& member)
    {
        for (std::size_t i = 5; i + 1 < 25; i += 2) {
            LogRange a = member.pieces[i].range, b = member.pieces[i + 1].range;
            if (a.epoch != b.epoch || b.from > a.to) continue;
            member.pieces.push_back({.key = fmt::format("{}/joined/{}", name, i),
                                     .range = {.epoch = a.epoch,
                                               .from = std::min(a.from, b.from),
                                               .to = std::max(a.to, b.to)},
                                     .stored = input.now,
                                     .joined = true});
        }
    }

    void make_marks()
    {
        Number count = 1 + below(80);
        for (Number i = 1; i <= count; ++i) {
            RetentionMark mark{.number = i,
                               .created = input.now - hours{(count - i) * (1 + below(24))} -
                                          std::chrono::minutes{below(50)},
                               .previous = {},
                               .named = below(15) == 0,
                               .restorable = below(5) != 0};
            if (i > 1) mark.previous = i - 1;
            for (const auto& [name, member] : input.members) {
                RetentionNeed need;
                if (!member.backups.empty())
                    need.backup = 1 + (member.backups.size() - 1) * i / count;
                else
                    mark.restorable = false;
                const LogRange& end =
                    member.pieces[std::min<std::size_t>(i * 59 / count, 59)].range;
                Offset back = std::min(end.to - kUnit, kUnit * below(20));
                need.log.push_back({.epoch = end.epoch, .from = end.to - back, .to = end.to});
                mark.needs.emplace(name, std::move(need));
            }
            input.marks.push_back(std::move(mark));
        }
    }

    void make_sets()
    {
        for (const RetentionMark& mark : input.marks) {
            if (below(10) == 0) continue;
            RetentionSet set{.number = input.sets.size() + 1, .mark = mark.number};
            for (const auto& [name, member] : input.members) {
                if (below(12) == 0 && !member.backups.empty())
                    set.backups[name] = 1 + below(member.backups.size());
                set.pieces[name].insert(member.pieces[below(60)].key);
            }
            input.sets.push_back(std::move(set));
        }
    }

    base::SeededRandom random_;
};

template <typename Key> bool stays(const std::map<Key, Fate>& fates, const Key& key)
{
    return fates.at(key).stays;
}

std::vector<LogRange> log_left(const RetentionInput& input, const RetentionPlan& plan,
                               const std::string& name)
{
    std::vector<LogRange> out;
    for (const RetentionPiece& piece : input.members.at(name).pieces)
        if (stays(plan.members.at(name).pieces, piece.key)) out.push_back(piece.range);
    return out;
}

std::vector<LogRange> all_log(const RetentionInput& input, const std::string& name)
{
    std::vector<LogRange> out;
    for (const RetentionPiece& piece : input.members.at(name).pieces)
        out.push_back(piece.range);
    return out;
}

/// Which marks must be there after the plan, found from the words of the rule alone.
std::set<Number> owed_marks(const RetentionInput& in)
{
    std::set<Number> owed;
    std::optional<Number> restorable, proven, complete;
    for (const RetentionMark& mark : in.marks) {
        if (in.held.contains(mark.number)) owed.insert(mark.number);
        if (mark.created >= in.now - hours{24 * in.policy.keep_days} &&
            (mark.created > in.now - in.policy.keep_all || mark.named))
            owed.insert(mark.number);
        if (!mark.restorable) continue;
        restorable = std::max(restorable.value_or(0), mark.number);
        if (in.proven.contains(mark.number)) proven = std::max(proven.value_or(0), mark.number);
        for (const RetentionSet& set : in.sets)
            if (set.mark == mark.number) complete = std::max(complete.value_or(0), mark.number);
    }
    for (auto one : {restorable, proven, complete})
        if (one) owed.insert(*one);
    owed.insert(in.marks.back().number);
    return owed;
}

/// Whatever can be restored to with the objects of the plan, for the marks that it keeps for their
/// own sake.
void check_reachability(const RetentionInput& in, const RetentionPlan& plan)
{
    for (Number number : owed_marks(in))
        EXPECT_TRUE(stays(plan.marks, number)) << "m-" << number;
    for (const RetentionMark& mark : in.marks) {
        const Fate& fate = plan.marks.at(mark.number);
        EXPECT_FALSE(fate.why.empty());
        if (!fate.stays) continue;
        if (fate.why.starts_with("the proof of")) continue;
        if (mark.previous) {
            EXPECT_TRUE(stays(plan.marks, *mark.previous));
        }
        for (const auto& [name, need] : mark.needs) {
            if (need.backup) {
                EXPECT_TRUE(stays(plan.members.at(name).backups, *need.backup));
            }
            // What was whole before is whole after; what was missing before may be missing.
            auto missing_before = subtract_ranges(need.log, all_log(in, name));
            EXPECT_EQ(subtract_ranges(need.log, log_left(in, plan, name)), missing_before)
                << "m-" << mark.number << " " << fate.why;
        }
    }
}

/// Everything that goes is reached by nothing, and everything unreached and old goes.
void check_garbage(const RetentionInput& in, const RetentionPlan& plan)
{
    bool any = std::any_of(in.marks.begin(), in.marks.end(),
                           [](const RetentionMark& mark) { return mark.restorable; });
    auto cutoff = in.now - hours{24 * in.policy.keep_days};
    for (const auto& [name, member] : in.members) {
        Number newest = 0;
        for (const RetentionBackup& backup : member.backups)
            newest = std::max(newest, backup.number);
        for (const RetentionBackup& backup : member.backups) {
            bool named = std::ranges::any_of(in.sets, [&](const RetentionSet& set) {
                auto one = set.backups.find(name);
                return one != set.backups.end() && one->second == backup.number;
            });
            bool young = backup.ended >= cutoff &&
                         (named || backup.ended > in.now - in.policy.keep_unclosed);
            bool repeated =
                !named && backup.stand_in && backup.ended <= in.now - in.policy.keep_repeated;
            bool wanted = backup.number == newest || (!repeated && (!any || young));
            for (const RetentionMark& mark : in.marks) {
                const Fate& fate = plan.marks.at(mark.number);
                wanted = wanted || (fate.stays && !fate.why.starts_with("the proof of") &&
                                    mark.needs.at(name).backup == backup.number);
            }
            EXPECT_EQ(stays(plan.members.at(name).backups, backup.number), wanted)
                << name << "/b-" << backup.number;
        }
        const MemberFates& fates = plan.members.at(name);
        if (!any) {
            EXPECT_EQ(log_left(in, plan, name).empty(), false);
        }
        // What is said to be given up is exactly what no piece holds any more.
        EXPECT_EQ(fates.given_up, subtract_ranges(all_log(in, name), log_left(in, plan, name)));
        for (const RetentionPiece& piece : member.pieces) {
            EXPECT_FALSE(fates.pieces.at(piece.key).why.empty());
            bool settled = piece.range.epoch < member.settled->epoch ||
                           piece.range.to <= member.settled->offset;
            if (!settled && !stays(fates.pieces, piece.key)) {
                EXPECT_TRUE(whole({piece.range}, log_left(in, plan, name)));
            }
        }
    }
}

void check_sets(const RetentionInput& in, const RetentionPlan& plan)
{
    EXPECT_TRUE(in.sets.empty() || plan.sets.rbegin()->second.stays);
    for (const RetentionSet& set : in.sets) {
        const Fate& fate = plan.sets.at(set.number);
        EXPECT_FALSE(fate.why.empty());
        bool backup = std::any_of(set.backups.begin(), set.backups.end(), [&](const auto& one) {
            return stays(plan.members.at(one.first).backups, one.second);
        });
        if (backup) {
            EXPECT_TRUE(fate.stays);
            EXPECT_TRUE(stays(plan.marks, set.mark));
        }
        const Fate& mark = plan.marks.at(set.mark);
        if (mark.stays && !mark.why.starts_with("the proof of")) {
            EXPECT_TRUE(fate.stays);
        }
        for (const auto& [name, keys] : set.pieces)
            for (const std::string& key : keys)
                if (stays(plan.members.at(name).pieces, key)) {
                    EXPECT_TRUE(fate.stays);
                }
    }
}

RetentionInput apply(RetentionInput in, const RetentionPlan& plan)
{
    std::erase_if(in.marks, [&](const auto& one) { return !stays(plan.marks, one.number); });
    std::erase_if(in.sets, [&](const auto& one) { return !stays(plan.sets, one.number); });
    std::erase_if(in.runs, [&](const auto& one) { return !stays(plan.runs, one.number); });
    for (auto& [name, member] : in.members) {
        const MemberFates& fates = plan.members.at(name);
        std::erase_if(member.backups,
                      [&](const auto& one) { return !stays(fates.backups, one.number); });
        std::erase_if(member.pieces,
                      [&](const auto& one) { return !stays(fates.pieces, one.key); });
    }
    return in;
}

template <typename Key> bool all_stay(const std::map<Key, Fate>& fates)
{
    return std::all_of(fates.begin(), fates.end(),
                       [](const auto& one) { return one.second.stays; });
}

TEST(RetentionPropertyTest, KeepsWhatIsReachedAndNothingElse)
{
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Made made(seed);
        RetentionPlan plan = plan_retention(made.input);
        check_reachability(made.input, plan);
        check_garbage(made.input, plan);
        check_sets(made.input, plan);
        if (testing::Test::HasFailure()) return;
    }
}

TEST(RetentionPropertyTest, ASecondTimeChangesNothing)
{
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Made made(seed);
        RetentionInput after = apply(made.input, plan_retention(made.input));
        RetentionPlan again = plan_retention(after);
        EXPECT_TRUE(all_stay(again.marks));
        EXPECT_TRUE(all_stay(again.sets));
        EXPECT_TRUE(all_stay(again.runs));
        for (const auto& [name, fates] : again.members) {
            EXPECT_TRUE(all_stay(fates.backups)) << name;
            EXPECT_TRUE(all_stay(fates.pieces)) << name;
        }
        if (testing::Test::HasFailure()) return;
    }
}

TEST(RetentionPropertyTest, WhatIsReadStaysPieceByPiece)
{
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Made made(seed);
        RetentionReader reader{.why = "read"};
        const RetentionMark& mark = made.input.marks[made.below(made.input.marks.size())];
        for (const auto& [name, need] : mark.needs) {
            if (need.backup) reader.reads[name].backups.push_back(*need.backup);
            reader.reads[name].log = need.log;
        }
        made.input.readers.push_back(reader);
        RetentionPlan plan = plan_retention(made.input);
        check_reachability(made.input, plan);
        check_sets(made.input, plan);
        for (const auto& [name, reads] : reader.reads) {
            for (Number backup : reads.backups)
                EXPECT_TRUE(stays(plan.members.at(name).backups, backup)) << name;
            for (const RetentionPiece& piece : made.input.members.at(name).pieces)
                if (subtract_ranges({piece.range}, reads.log) !=
                    std::vector<LogRange>{piece.range}) {
                    EXPECT_TRUE(stays(plan.members.at(name).pieces, piece.key)) << piece.key;
                }
        }
        if (testing::Test::HasFailure()) return;
    }
}

} // namespace
} // namespace tidemark::model
