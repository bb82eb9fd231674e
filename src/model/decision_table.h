#pragma once

#include "model/mark.h"

#include <cstddef>
#include <cstdint>
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

/// Branches that were committed inside the cut after `since`, which was read on all members before
/// b: what was committed before had its decision before b, which lies inside. Those prepared at
/// each member with a table are left out, as above.
std::vector<LateCommit> late_commits(const CutInput& input, const CutResult& cut,
                                     const Sweep& since);

/// What a mark lists in `decided`.
struct CommitsToCheck {
    std::vector<LateCommit> commits = {};
    std::uint64_t left_out = 0; ///< of a failover's, beyond kMostCarried
};

/// Of what is listed for a failover's sake only so many are found by one mark, and carried on: a
/// mark stays an object of a few MB. Of each member those with the highest positions.
inline constexpr std::size_t kMostCarried = 10'000;

/// All that `previous` could not see to be decided, and what it carries. A commit up to its r had
/// its decision before that restore point was sent, so before its e, below which no later cut lies.
/// Null: all that the log shows.
CommitsToCheck commits_since(const CutInput& input, const CutResult& cut, const Mark* previous);

/// What `previous` lists because of a failover before it, and every mark behind that: no later cut
/// makes those whole. Until the group says something else about its tables. All inherited.
CommitsToCheck carried_commits(const CutInput& input, const Mark* previous);

/// What a mark lists that is placed now. `before` was read on all members before b; from there on
/// late_commits() is enough, unless a decision made before b can lie outside: a member with a table
/// is cut below its b, or was failed over since `previous` and the decision stood on the tail. Then
/// everything since `previous`; and for a failover, marked as carried, and at most kMostCarried of
/// what late_commits() would not list.
CommitsToCheck commits_to_check(const CutInput& input, const CutResult& cut, const Sweep& before,
                                const Mark* previous);

void list_commits(Mark& mark, CommitsToCheck commits);

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
    /// Inherited commits without a row: the decision went with a failover before an earlier mark,
    /// or the row was tidied since. Nobody can tell which, and the mark is opened.
    std::vector<std::string> doubts = {};
};
/// Pure. `rows` names every member with a table.
TableJudgement judge_by_tables(const Mark& mark, const DecisionRows& rows);

} // namespace tidemark::model
