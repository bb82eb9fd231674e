#pragma once

#include "model/branch.h"
#include "model/open_transactions.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::model {

enum class Decision : std::uint8_t { unknown = 0, commit = 1, rollback = 2 };

/// Why a verdict is what it is.
enum class Reason : std::uint8_t {
    committed = 0,         ///< commit: a branch of it is committed inside the cut
    not_committed = 1,     ///< rollback: no member committed it, and all logs are complete
    seeded = 2,            ///< unknown: a branch was prepared before our log begins
    log_incomplete = 3,    ///< unknown: not every log reaches back to before its first prepare
    ambiguous_id = 4,      ///< unknown: the id was used again too soon to tell the uses apart
    commit_of_unknown = 5, ///< unknown: a COMMIT PREPARED of an unknown branch may be its commit
    unmatched_gid = 6,     ///< unknown: the gid does not match the member's gid_pattern
    one_phase = 7,        ///< unknown: its coordinator may have committed its own part in one phase
    commit_abandoned = 8, ///< unknown: it was committed on a tail that a failover abandoned
};

/// "commit", "rollback", "unknown"; "committed", "log_incomplete", ...: as in JSON.
std::string_view decision_name(Decision decision);
std::string_view reason_name(Reason reason);

/// What becomes of a branch that is in doubt at a cut. Never guessed (rules.md 5).
struct Verdict {
    Decision decision = Decision::unknown;
    Reason reason = Reason::log_incomplete;
    /// The commit that decided (or, for ambiguous_id and commit_abandoned, might have): whose and
    /// where it starts.
    std::string committed_by = {};
    LogPosition committed_at = {};
    std::string evidence = {}; ///< a sentence for people
    friend bool operator==(const Verdict&, const Verdict&) = default;
};

/// Prepared inside the cut, not finished inside it. `branch.finish` is what production did later,
/// as far as the log shows.
struct InDoubt {
    Branch branch = {};
    Verdict verdict = {};
    /// Production rolled it back after the cut although the verdict is commit (rules.md 8).
    bool differs_from_production = false;
    friend bool operator==(const InDoubt&, const InDoubt&) = default;
};

/// State of a branch at a cut.
enum class StateAt : std::uint8_t {
    absent,
    in_doubt,
    committed,
    rolled_back,
    finished_unseen,
    lost
};
std::string_view state_name(StateAt state);

/// A distributed transaction and its branches at a cut.
struct TransactionAt {
    struct Part {
        Branch branch = {};
        StateAt state = StateAt::absent;
        friend bool operator==(const Part&, const Part&) = default;
    };
    std::string global_id = {};
    bool ambiguous = false; ///< the parts may belong to several uses of the id
    std::vector<Part> parts = {};
    friend bool operator==(const TransactionAt&, const TransactionAt&) = default;
};

/// What a group restored to a vector of positions would hold.
struct Evaluation {
    std::vector<InDoubt> in_doubt = {};
    std::vector<TransactionAt> spanning = {}; ///< those with a branch in doubt
    /// Committed at one member, not even prepared at another: never at a mark's cut.
    std::vector<TransactionAt> torn = {};
    /// Committed at one member, rolled back at another, both inside (rules.md 8).
    std::vector<TransactionAt> damaged = {};
    /// Committed at one member, its prepare at another lost in a failover (rules.md 13).
    std::vector<TransactionAt> lost = {};
    std::vector<std::string> ambiguous_ids = {};      ///< ids that made a verdict unknown
    std::vector<UnknownFinish> unknown_finishes = {}; ///< inside the cut, and seen since the table
    friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

/// Evaluates any vector of positions, consistent or not: `at` names every member of `logs`. With
/// `previous`, what happened up to its e is taken from there, so `at` must not lie before it.
/// `sweeps` (oldest first, later than those of `previous`, read when all logs were already kept)
/// help to tell reused ids apart and to judge completeness; without them and without `previous`
/// nothing is rolled back. Throws Error{failed} when events are out of order.
Evaluation evaluate_at(std::span<const MemberLog> logs, const Sweep& at,
                       const OpenTransactions* previous = nullptr,
                       const std::vector<Sweep>& sweeps = {});

} // namespace tidemark::model
