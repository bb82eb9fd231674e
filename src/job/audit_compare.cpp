#include "job/audit_compare.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

namespace tidemark::job {

namespace {

using model::format_position;
/// Sorted, so that two of them are told apart line by line; equal lines may come twice.
using Lines = std::multiset<std::string>;

void compare_lines(const std::string& what, const Lines& stored, const Lines& now,
                   std::vector<std::string>& differences)
{
    std::vector<std::string> only;
    std::ranges::set_difference(stored, now, std::back_inserter(only));
    for (const auto& line : only)
        differences.push_back(fmt::format("{}: the mark has {}, the log does not", what, line));
    only.clear();
    std::ranges::set_difference(now, stored, std::back_inserter(only));
    for (const auto& line : only)
        differences.push_back(fmt::format("{}: the log has {}, the mark does not", what, line));
}

void compare_cuts(const model::Mark& stored, const model::CutResult& now,
                  std::vector<std::string>& differences)
{
    for (std::size_t i = 0; i < stored.members.size(); ++i) {
        if (stored.members[i].cut == now.members[i].cut) continue;
        differences.push_back(fmt::format(
            "{}: the mark says {}, the log gives {}", stored.members[i].name,
            format_position(stored.members[i].cut), format_position(now.members[i].cut)));
    }
}

/// Global ids of which less is stored than the mark knew.
using GoneIds = std::set<std::string>;

template <typename Visit> void each_branch(const model::Evaluation& at, const Visit& visit)
{
    for (const auto& doubt : at.in_doubt)
        visit(doubt.branch, model::StateAt::in_doubt);
    for (const auto* all : {&at.spanning, &at.damaged, &at.lost}) {
        for (const auto& transaction : *all)
            for (const auto& part : transaction.parts)
                visit(part.branch, part.state);
    }
}

/// What only a tail shows that a failover abandoned, prepares there and what was committed there:
/// member, epoch and start of the prepare, and whose they are.
std::map<std::tuple<std::string, model::Epoch, model::Offset>, std::string>
lost_branches(const model::Evaluation& at, const model::OpenTransactions& table)
{
    std::map<std::tuple<std::string, model::Epoch, model::Offset>, std::string> lost;
    auto add = [&](const model::Branch& branch) {
        lost[{branch.member, branch.epoch, branch.prepare_start}] = branch.global_id;
    };
    each_branch(at, [&](const model::Branch& branch, model::StateAt state) {
        if (state == model::StateAt::lost || branch.abandoned_commit.epoch != 0) add(branch);
    });
    for (const auto& branch : table.branches)
        if (branch.finish == model::Finish::lost || branch.abandoned_commit.epoch != 0) add(branch);
    return lost;
}

GoneIds abandoned_ids(const model::Mark& stored, const model::CutResult& now)
{
    GoneIds gone;
    auto still = lost_branches(now.at, now.table);
    for (const auto& [where, id] : lost_branches(stored.at, stored.table))
        if (!still.contains(where)) gone.insert(id);
    return gone;
}

/// Those of which some branch was prepared before the log that is stored begins.
GoneIds older_ids(const model::Mark& stored, const AuditScope& scope)
{
    GoneIds gone;
    each_branch(stored.at, [&](const model::Branch& branch, model::StateAt) {
        auto since = scope.complete_since.find(branch.member);
        if (since != scope.complete_since.end() && !branch.seeded &&
            branch.prepare_start < since->second)
            gone.insert(branch.global_id);
    });
    return gone;
}

using Doubts = std::map<std::string, const model::InDoubt*>;

Doubts doubts_of(const model::Evaluation& at)
{
    Doubts all;
    for (const auto& doubt : at.in_doubt)
        all[doubt.branch.member + " " + doubt.branch.gid] = &doubt;
    return all;
}

/// A rollback is proven by log from before the first prepare, and that a commit elsewhere belongs
/// to the same use of an id as well; without that log both are unknown.
bool proof_is_gone(const model::Verdict& stored, const model::Verdict& now)
{
    if (now.decision != model::Decision::unknown) return false;
    if (stored.decision == model::Decision::commit)
        return now.reason == model::Reason::ambiguous_id;
    return stored.decision == model::Decision::rollback &&
           (now.reason == model::Reason::log_incomplete || now.reason == model::Reason::seeded ||
            now.reason == model::Reason::commit_of_unknown);
}

/// Whether the log as it is now may give `now` though `stored` is true.
bool tolerated(const model::InDoubt& stored, const model::InDoubt& now, const GoneIds& gone,
               const AuditScope& scope)
{
    // A commit that is stored stays one, whatever else is gone.
    if (gone.contains(stored.branch.global_id))
        return stored.verdict.decision != model::Decision::rollback ||
               now.verdict.decision != model::Decision::commit;
    return !scope.whole && proof_is_gone(stored.verdict, now.verdict);
}

void compare_verdicts(const model::Mark& stored, const model::CutResult& now, const GoneIds& gone,
                      const AuditScope& scope, std::vector<std::string>& differences)
{
    auto before = doubts_of(stored.at);
    auto after = doubts_of(now.at);
    for (const auto& [branch, doubt] : before) {
        auto found = after.find(branch);
        if (found == after.end()) {
            if (!gone.contains(doubt->branch.global_id))
                differences.push_back(branch + ": the mark has it in doubt, the log does not");
            continue;
        }
        auto was = doubt->verdict.decision;
        auto is = found->second->verdict.decision;
        if (was == is || tolerated(*doubt, *found->second, gone, scope)) continue;
        differences.push_back(fmt::format("{}: the mark says {}, the log gives {}", branch,
                                          model::decision_name(was), model::decision_name(is)));
    }
    for (const auto& [branch, doubt] : after) {
        if (!before.contains(branch) && !gone.contains(doubt->branch.global_id))
            differences.push_back(branch + ": in doubt by the log, not by the mark");
    }
}

std::string describe_branch(const model::Branch& branch)
{
    auto prepared =
        branch.seeded ? std::string("before the log")
                      : fmt::format("at {}", format_position({branch.epoch, branch.prepare_start}));
    return fmt::format("{} at {} (xid {}, prepared {})", branch.gid, branch.member, branch.xid,
                       prepared);
}

Lines spanning_lines(const model::Evaluation& at, const GoneIds& gone)
{
    Lines lines;
    for (const auto& transaction : at.spanning) {
        for (const auto& part : transaction.parts) {
            if (part.state == model::StateAt::lost || gone.contains(part.branch.global_id))
                continue;
            // Of an id in constant use not all finished parts are listed.
            if (transaction.ambiguous && part.state != model::StateAt::in_doubt) continue;
            auto line = fmt::format("{} as part of {}, {}", describe_branch(part.branch),
                                    transaction.global_id, model::state_name(part.state));
            if (part.state == model::StateAt::committed ||
                part.state == model::StateAt::rolled_back)
                line += fmt::format(" at {}", format_position({part.branch.finish_epoch,
                                                               part.branch.finish_start}));
            lines.insert(std::move(line));
        }
    }
    return lines;
}

Lines table_lines(const model::OpenTransactions& table, const GoneIds& gone)
{
    Lines lines;
    for (const auto& branch : table.branches) {
        if (branch.finish == model::Finish::lost || gone.contains(branch.global_id)) continue;
        auto line = describe_branch(branch);
        if (branch.finish == model::Finish::open)
            line += ", open";
        else
            line += fmt::format(", {} at {}",
                                branch.finish == model::Finish::committed     ? "committed"
                                : branch.finish == model::Finish::rolled_back ? "rolled back"
                                                                              : "ended unseen",
                                format_position({branch.finish_epoch, branch.finish_start}));
        lines.insert(std::move(line));
    }
    return lines;
}

/// Flags that sum up transactions say nothing where some of these are passed over.
void compare_flags(const model::CutFlags& stored, const model::CutFlags& now, bool some_gone,
                   std::vector<std::string>& differences)
{
    struct Flag {
        const char* name;
        bool model::CutFlags::* value;
        bool sums_up = true;
    };
    // lost_prepares is not among them: the log that shows it is an abandoned branch's.
    constexpr Flag kFlags[] = {
        {"two_phase_only", &model::CutFlags::two_phase_only, false},
        {"heuristic_damage", &model::CutFlags::heuristic_damage},
        {"differs_from_production", &model::CutFlags::differs_from_production},
        {"unknown_verdicts", &model::CutFlags::unknown_verdicts},
        {"unknown_finishes", &model::CutFlags::unknown_finishes, false},
        {"relies_on_clocks", &model::CutFlags::relies_on_clocks},
    };
    for (const auto& flag : kFlags) {
        if (stored.*flag.value == now.*flag.value || (some_gone && flag.sums_up)) continue;
        differences.push_back(fmt::format("{}: the mark says {}, the log gives {}", flag.name,
                                          stored.*flag.value, now.*flag.value));
    }
}

} // namespace

std::vector<std::string> compare_proof(const model::Mark& stored, const model::CutResult& now,
                                       const AuditScope& scope)
{
    std::vector<std::string> differences;
    auto gone = abandoned_ids(stored, now);
    if (!scope.whole) gone.merge(older_ids(stored, scope));
    compare_cuts(stored, now, differences);
    compare_verdicts(stored, now, gone, scope, differences);
    for (const auto& torn : now.at.torn)
        differences.push_back("torn at the mark: " + torn.global_id);
    if (!scope.whole) return differences;
    compare_lines("spanning transactions", spanning_lines(stored.at, gone),
                  spanning_lines(now.at, gone), differences);
    compare_flags(stored.flags, now.flags, !gone.empty(), differences);
    // A moment's table serves nobody and is not stored.
    if (!stored.is_moment())
        compare_lines("open transactions", table_lines(stored.table, gone),
                      table_lines(now.table, gone), differences);
    return differences;
}

} // namespace tidemark::job
