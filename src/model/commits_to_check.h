#pragma once

#include "base/clock.h"
#include "model/decision_table.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

/// Of which commits a mark wants to see the decision, for the coordinators of decision_table.h.
namespace tidemark::model {

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
/// mark stays an object of a few MB. What went with a tail had been committed elsewhere just behind
/// the switch: so the first ones behind it of each member, then the last ones before it, as far as
/// the clocks tell (CutMember::kept_until); where they do not, the lowest. Carried on are those
/// that were found last: they are listed first.
inline constexpr std::size_t kMostCarried = 10'000;

/// How long a row stays at the least when its transaction is over, as users are told
/// (docs/guide/operate.md), which is no earlier than any of its commits. In the mark that found a
/// commit, and in those that are placed no later than so long behind the commit, a missing row is
/// no tidied one: the decision is lost.
inline constexpr base::Duration kRowsStay = std::chrono::hours{1};

/// All that `previous` could not see to be decided, and what it carries. A commit up to its r had
/// its decision before that restore point was sent, so before its e, below which no later cut lies.
/// Null: all that the log shows.
CommitsToCheck commits_since(const CutInput& input, const CutResult& cut, const Mark* previous);

/// What `previous` lists because of a failover before it, and every mark behind that: no later cut
/// makes those whole. Until the group says something else about the table of the member that was
/// failed over. Inherited when `input.created` is later than kRowsStay behind the commit
/// (LateCommit::found).
CommitsToCheck carried_commits(const CutInput& input, const Mark* previous);

/// What a mark lists that is placed now. `before` was read on all members before b; from there on
/// late_commits() is enough, unless a decision made before b can lie outside: a member with a table
/// is cut below its b, or was failed over since `previous` and the decision stood on the tail. Then
/// everything since `previous`; and for a failover, marked as carried, and at most kMostCarried of
/// what late_commits() would not list.
CommitsToCheck commits_to_check(const CutInput& input, const CutResult& cut, const Sweep& before,
                                const Mark* previous);

void list_commits(Mark& mark, CommitsToCheck commits);

} // namespace tidemark::model
