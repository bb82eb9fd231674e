#include "model/decision_table.h"

#include "model/instances.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <iterator>

namespace tidemark::model {

namespace {

/// The coordinator prepared its own part like everybody's: two phases, no row.
bool prepared_at_all(const TransactionAt& transaction, const std::vector<DecisionTable>& tables)
{
    return std::all_of(tables.begin(), tables.end(), [&](const DecisionTable& table) {
        return std::any_of(
            transaction.parts.begin(), transaction.parts.end(), [&](const auto& part) {
                return part.branch.member == table.member && part.state != StateAt::absent;
            });
    });
}

const TransactionAt* spanning(const Evaluation& at, const Branch& branch)
{
    for (const auto& transaction : at.spanning)
        for (const auto& part : transaction.parts)
            if (part.branch.member == branch.member && part.branch.epoch == branch.epoch &&
                part.branch.xid == branch.xid && part.branch.prepare_start == branch.prepare_start)
                return &transaction;
    return nullptr;
}

/// Where some table holds one of the ids.
const std::string* holder(const DecisionRows& rows, const std::vector<std::string>& ids)
{
    for (const auto& [member, held] : rows)
        for (const auto& id : ids)
            if (held.contains(id)) return &member;
    return nullptr;
}

std::string doubt_of(const LateCommit& commit, const std::vector<DecisionTable>& tables)
{
    std::string members;
    for (const auto& table : tables)
        members += (members.empty() ? "" : " or ") + table.member;
    return fmt::format("{} is committed at {}, and its decision row is absent: it may have gone "
                       "with the failover of {}, or have been tidied since; compare it with the "
                       "application",
                       commit.gid, commit.member, members);
}

std::vector<std::string> ids_of(const TransactionAt& transaction)
{
    std::vector<std::string> ids{transaction.global_id};
    for (const auto& part : transaction.parts)
        ids.push_back(part.branch.gid);
    return ids;
}

} // namespace

std::optional<TableColumn> parse_table_column(std::string_view text)
{
    auto first = text.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    auto second = text.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    TableColumn out{.schema = std::string(text.substr(0, first)),
                    .table = std::string(text.substr(first + 1, second - first - 1)),
                    .column = std::string(text.substr(second + 1))};
    for (const auto* part : {&out.schema, &out.table, &out.column}) {
        if (part->empty() || part->size() > 63) return std::nullopt;
        for (char c : *part)
            if (c == '.' || c == '"' || static_cast<unsigned char>(c) < 0x20) return std::nullopt;
    }
    return out;
}

void withhold_rollbacks(Evaluation& at, const std::vector<DecisionTable>& tables)
{
    if (tables.empty()) return;
    for (auto& doubt : at.in_doubt) {
        if (doubt.verdict.reason != Reason::not_committed) continue;
        const auto* transaction = spanning(at, doubt.branch);
        if (transaction != nullptr && prepared_at_all(*transaction, tables)) continue;
        doubt.verdict.decision = Decision::unknown;
        doubt.verdict.reason = Reason::one_phase;
        doubt.verdict.evidence +=
            "; but its coordinator may have committed its own part in one phase";
        for (const auto& table : tables)
            if (table.table != kNoDecisionTable)
                doubt.verdict.evidence += fmt::format("; {} of {} decides when it is restored",
                                                      table.table, table.member);
    }
}

namespace {

/// What is known of one member's branches by xid: gid, global id.
struct KnownGids {
    std::map<std::uint32_t, std::string> gid;
    std::set<std::string> ids;
};

KnownGids known_gids(const MemberLog& log, const OpenTransactions* previous)
{
    KnownGids out;
    auto add = [&](std::uint32_t xid, const std::string& gid) {
        out.gid[xid] = gid;
        out.ids.insert(log.pattern.global_id(gid).value_or(gid));
    };
    for (const auto& seed : log.seeds)
        add(seed.xid, seed.gid);
    if (previous != nullptr) {
        for (const auto& branch : previous->branches)
            // What a failover took was prepared nowhere, and its xid is given out again.
            if (branch.member == log.name && branch.finish != Finish::lost)
                add(branch.xid, branch.gid);
    }
    for (const auto& event : log.events)
        if (event.kind == EventKind::prepare && on_history(log.history, event.epoch, event.end))
            add(event.xid, event.gid);
    return out;
}

/// The events may be whole pieces; up to here the branches of the table say it.
Offset told_to(const OpenTransactions* previous, const std::string& member)
{
    if (previous == nullptr) return 0;
    auto known = previous->members.find(member);
    return known == previous->members.end() ? 0 : known->second.e;
}

} // namespace

std::vector<LateCommit> late_commits(const CutInput& input, const CutResult& cut,
                                     const Sweep& since)
{
    std::vector<LateCommit> out;
    if (input.decision_tables.empty()) return out;
    std::map<std::string, KnownGids> known;
    for (const auto& member : input.members)
        known.emplace(member.log.name, known_gids(member.log, input.previous));
    auto everywhere = [&](const std::string& id) {
        return std::ranges::all_of(input.decision_tables, [&](const DecisionTable& table) {
            auto there = known.find(table.member);
            return there != known.end() && there->second.ids.contains(id);
        });
    };
    for (std::size_t m = 0; m < input.members.size(); ++m) {
        const MemberLog& log = input.members[m].log;
        auto from = since.find(log.name);
        const auto& gids = known.at(log.name).gid;
        const Offset told = told_to(input.previous, log.name);
        for (const auto& event : log.events) {
            // What stood on an abandoned tail has the xids of the present log.
            bool inside = event.end <= cut.members[m].cut.offset &&
                          on_history(log.history, event.epoch, event.end);
            if (event.kind != EventKind::commit || !inside || event.end <= told ||
                (from != since.end() && event.end <= from->second))
                continue;
            auto found = gids.find(event.xid);
            const std::string& gid = found != gids.end() ? found->second : event.gid;
            auto id = log.pattern.global_id(gid);
            // An unknown branch or a stranger's: nobody's table is bound to have it.
            if (gid.empty() || !id || everywhere(*id)) continue;
            out.push_back({.member = log.name,
                           .gid = gid,
                           .global_id = *id,
                           .commit = {event.epoch, event.start}});
        }
        if (input.previous == nullptr) continue;
        for (const Branch& branch : input.previous->branches) {
            bool inside = branch.member == log.name && branch.finish == Finish::committed &&
                          branch.finish_end <= cut.members[m].cut.offset &&
                          on_history(log.history, branch.finish_epoch, branch.finish_end);
            if (!inside || !branch.matched || everywhere(branch.global_id) ||
                (from != since.end() && branch.finish_end <= from->second))
                continue;
            out.push_back({.member = log.name,
                           .gid = branch.gid,
                           .global_id = branch.global_id,
                           .commit = {branch.finish_epoch, branch.finish_start}});
        }
    }
    return out;
}

namespace {

const CutMember* find_member(const CutInput& input, const std::string& name)
{
    auto found = std::ranges::find(input.members, name,
                                   [](const CutMember& member) { return member.log.name; });
    return found == input.members.end() ? nullptr : &*found;
}

/// Since the mark before, or since its log begins: what it decided meanwhile may be gone.
bool was_failed_over(const CutInput& input, const CutMember& member)
{
    const auto& history = member.log.history;
    if (input.previous != nullptr) {
        auto known = input.previous->members.find(member.log.name);
        if (known != input.previous->members.end()) return known->second.epoch != history.current();
    }
    return history.epoch_at(member.log.complete_since) != history.current();
}

Sweep restore_points(const Mark* previous)
{
    Sweep out;
    if (previous != nullptr)
        for (const auto& [name, known] : previous->table.members)
            out[name] = known.r;
    return out;
}

void append(std::vector<LateCommit>& to, std::vector<LateCommit> more)
{
    std::ranges::move(more, std::back_inserter(to));
}

/// Leaves kMostCarried, each member's highest: all members' highest come before any one's second.
/// Returns how many went.
std::size_t keep_highest(std::vector<LateCommit>& commits)
{
    if (commits.size() <= kMostCarried) return 0;
    std::map<std::string_view, std::vector<std::size_t>> of_member;
    for (std::size_t i = 0; i < commits.size(); ++i)
        of_member[commits[i].member].push_back(i);
    std::vector<std::pair<std::size_t, std::size_t>> ranked; // from the top, index
    for (auto& [member, indexes] : of_member) {
        std::ranges::sort(indexes, std::greater{},
                          [&](std::size_t i) { return commits[i].commit.offset; });
        for (std::size_t rank = 0; rank < indexes.size(); ++rank)
            ranked.emplace_back(rank, indexes[rank]);
    }
    std::ranges::sort(ranked);
    std::vector<LateCommit> kept;
    for (std::size_t i = 0; i < kMostCarried; ++i)
        kept.push_back(std::move(commits[ranked[i].second]));
    commits = std::move(kept);
    return ranked.size() - kMostCarried;
}

} // namespace

CommitsToCheck carried_commits(const CutInput& input, const Mark* previous)
{
    CommitsToCheck out;
    if (previous == nullptr || previous->decision_tables != input.decision_tables) return out;
    for (const LateCommit& commit : previous->decided) {
        if (!commit.carried || find_member(input, commit.member) == nullptr) continue;
        out.commits.push_back(commit);
        out.commits.back().inherited = true;
    }
    out.left_out = previous->decided_left_out + keep_highest(out.commits);
    return out;
}

CommitsToCheck commits_since(const CutInput& input, const CutResult& cut, const Mark* previous)
{
    auto out = carried_commits(input, previous);
    append(out.commits, late_commits(input, cut, restore_points(previous)));
    return out;
}

CommitsToCheck commits_to_check(const CutInput& input, const CutResult& cut, const Sweep& before,
                                const Mark* previous)
{
    bool below = false, gone = false;
    for (const auto& table : input.decision_tables) {
        const CutMember* member = find_member(input, table.member);
        if (member == nullptr || table.table == kNoDecisionTable) continue;
        below = below ||
                cut.members[static_cast<std::size_t>(member - input.members.data())].cut.offset <
                    member->b;
        gone = gone || was_failed_over(input, *member);
    }
    if (below && !gone) return commits_since(input, cut, previous);
    auto out = carried_commits(input, previous);
    auto late = late_commits(input, cut, before);
    if (gone) {
        std::set<std::pair<std::string, Offset>> listed;
        for (const auto& commit : late)
            listed.emplace(commit.member, commit.commit.offset);
        auto earlier = late_commits(input, cut, restore_points(previous));
        std::erase_if(earlier, [&](const LateCommit& commit) {
            return listed.contains({commit.member, commit.commit.offset});
        });
        // Below b everything since the mark before is late, with or without a failover.
        if (!below) out.left_out += keep_highest(earlier);
        append(late, std::move(earlier));
        for (auto& commit : late)
            commit.carried = true;
    }
    append(out.commits, std::move(late));
    return out;
}

void list_commits(Mark& mark, CommitsToCheck commits)
{
    mark.decided = std::move(commits.commits);
    mark.decided_left_out = commits.left_out;
}

bool has_decision_tables(const Mark& mark)
{
    return std::any_of(mark.decision_tables.begin(), mark.decision_tables.end(),
                       [](const auto& table) { return table.table != kNoDecisionTable; });
}

std::set<std::string> ids_to_ask(const Mark& mark)
{
    std::set<std::string> ids;
    for (const auto& transaction : mark.at.spanning)
        for (auto& id : ids_of(transaction))
            ids.insert(std::move(id));
    for (const auto& commit : mark.decided) {
        ids.insert(commit.global_id);
        ids.insert(commit.gid);
    }
    return ids;
}

TableJudgement judge_by_tables(const Mark& mark, const DecisionRows& rows)
{
    TableJudgement out;
    std::vector<DecisionTable> tables;
    for (const auto& table : mark.decision_tables)
        if (table.table != kNoDecisionTable) tables.push_back(table);
    std::set<std::string> told;
    auto contradict = [&](const std::string& member, const std::string& gid,
                          const std::string& id) {
        if (told.insert(id).second)
            out.contradictions.push_back(
                fmt::format("{} is committed at {}, and no table has its decision", gid, member));
    };
    for (const auto& transaction : mark.at.spanning) {
        if (transaction.ambiguous || prepared_at_all(transaction, tables)) continue;
        const auto* where = holder(rows, ids_of(transaction));
        for (const auto& part : transaction.parts) {
            if (part.state == StateAt::committed && where == nullptr)
                contradict(part.branch.member, part.branch.gid, transaction.global_id);
        }
        for (const auto& doubt : mark.at.in_doubt) {
            if (spanning(mark.at, doubt.branch) != &transaction ||
                doubt.verdict.decision != Decision::unknown)
                continue;
            Verdict verdict = doubt.verdict;
            if (where != nullptr) {
                verdict.decision = Decision::commit;
                verdict.evidence = fmt::format("its decision stands in the table of {}", *where);
            } else if (doubt.verdict.reason == Reason::one_phase) {
                verdict.decision = Decision::rollback;
                verdict.evidence = "no commit at any member, and no decision in the table";
            } else {
                continue;
            }
            out.verdicts.emplace(std::pair{doubt.branch.member, doubt.branch.gid},
                                 std::move(verdict));
        }
    }
    std::vector<const LateCommit*> inherited;
    for (const auto& commit : mark.decided) {
        if (holder(rows, {commit.global_id, commit.gid}) != nullptr) continue;
        if (commit.inherited)
            inherited.push_back(&commit);
        else
            contradict(commit.member, commit.gid, commit.global_id);
    }
    for (const auto* commit : inherited)
        if (told.insert(commit->global_id).second) out.doubts.push_back(doubt_of(*commit, tables));
    return out;
}

} // namespace tidemark::model
