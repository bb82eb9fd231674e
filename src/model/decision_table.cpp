#include "model/decision_table.h"

#include <algorithm>
#include <fmt/format.h>

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
        if (commit.failed_over.empty() ||
            std::ranges::find(commit.failed_over, table.member) != commit.failed_over.end())
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
        if (commit.inherited) {
            inherited.push_back(&commit);
            continue;
        }
        contradict(commit.member, commit.gid, commit.global_id);
        if (commit.carried) out.undecided.insert(commit.global_id);
    }
    for (const auto* commit : inherited)
        if (told.insert(commit->global_id).second) out.doubts.push_back(doubt_of(*commit, tables));
    return out;
}

} // namespace tidemark::model
