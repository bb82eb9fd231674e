#pragma once

#include "model/mark.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Coordinators that commit their own part in one phase (rules.md 7): the decision is an ordinary
/// commit without a gid, so no log of prepared transactions shows it. What shows it is a row that
/// the coordinator writes in that very transaction: (schema.table.column) holds the id of the
/// transaction, or the gid of a branch.
namespace tidemark::model {

/// The word for a coordinator that leaves no record: nothing without a commit is decided then.
inline constexpr std::string_view kNoDecisionTable = "none";

struct TableColumn {
    std::string schema, table, column;
    friend bool operator==(const TableColumn&, const TableColumn&) = default;
};
/// "schema.table.column", each as it stands in the catalogue; nothing when it is not of that form.
std::optional<TableColumn> parse_table_column(std::string_view text);

/// Every rollback for want of a commit becomes unknown: the table decides, or nobody. Transactions
/// with a branch at each of these members are two-phase all over and keep their verdict.
void withhold_rollbacks(Evaluation& at, const std::vector<DecisionTable>& tables);

/// Whether the mark has tables that say something.
bool has_decision_tables(const Mark& mark);
/// Ids of which the tables shall be asked.
std::set<std::string> ids_to_ask(const Mark& mark);

/// What a restored member's table holds of those ids.
using DecisionRows = std::map<std::string, std::set<std::string>>;

struct TableJudgement {
    /// By member and gid, for branches in doubt of which the mark does not know.
    std::map<std::pair<std::string, std::string>, Verdict> verdicts = {};
    /// Branches that are committed at the mark, and undecided there: it is not consistent.
    std::vector<std::string> contradictions = {};
    /// Of these, the ids whose decision went with a failover: no mark that lists them as its own
    /// is consistent.
    std::set<std::string> undecided = {};
    /// Inherited commits without a row: the decision went with a failover before an earlier mark,
    /// or the row was tidied since. Nobody can tell which, and the mark is opened.
    std::vector<std::string> doubts = {};
};
/// Pure. `rows` names every member with a table.
TableJudgement judge_by_tables(const Mark& mark, const DecisionRows& rows);

} // namespace tidemark::model
