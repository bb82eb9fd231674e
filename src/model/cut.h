#pragma once

#include "model/evaluate.h"
#include "model/open_transactions.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::model {

/// One member's part in placing a mark (docs/consistency.md).
struct CutMember {
    MemberLog log = {}; ///< events up to at least e
    Offset b = 0; ///< insert position, read on ALL members before the first restore point was sent
    Offset r = 0; ///< START of the restore point's record
    Offset r_end = 0; ///< its end
    Offset e = 0; ///< insert position, read on ALL members after the last restore point answered
    /// The member can be restored to this position only; the others retreat to it.
    std::optional<Offset> fixed = {};
    /// Begin the search here instead of at r: a moment in the past, below a mark that is placed
    /// already and whose b, r and e these are (rules.md 40). At or after the previous mark's e.
    std::optional<Offset> wanted = {};
    /// Failed over since the previous mark: when the last commit or abort was written that is known
    /// of before that switch, by the member's clock.
    std::optional<base::Time> kept_until = {};
};

/// A member whose coordinator commits its own part in one phase, and what shows its decisions:
/// "schema.table.column", or "none" (decision_table.h).
struct DecisionTable {
    std::string member = {};
    std::string table = {};
    friend bool operator==(const DecisionTable&, const DecisionTable&) = default;
};

struct CutInput {
    std::vector<CutMember> members = {};
    /// Table of the latest mark; null for the first one.
    const OpenTransactions* previous = nullptr;
    /// Positions read on all members when all logs were being kept, since the previous mark: at
    /// init (after the slots were created and the prepared transactions listed), likewise after a
    /// gap or when a member has joined; better twice. Without them the next mark has no rollback
    /// verdicts.
    std::vector<Sweep> anchor = {};
    /// Members whose coordinators commit their own part in one phase. With a table for each of them
    /// such coordinators are covered.
    std::vector<DecisionTable> decision_tables = {};
    /// When the mark was placed, by our clock; the table lets go of old losses by it, and rows of
    /// decision tables may have been tidied.
    base::Time created = {};
};

/// Why a member's cut lies before its restore point.
struct Retreat {
    std::string global_id = {};  ///< empty: a COMMIT PREPARED of an unknown branch
    std::uint32_t xid = 0;       ///< of the commit that had to stay outside
    LogPosition commit = {};     ///< where its record starts: the cut
    std::string because_of = {}; ///< member whose prepare lies outside; empty as above
    LogPosition prepare = {};
    friend bool operator==(const Retreat&, const Retreat&) = default;
};

struct MemberCut {
    std::string name = {};
    LogPosition cut = {};            ///< K: the start of a record; recovery stops before it
    std::uint64_t retreat_bytes = 0; ///< r - K
    std::optional<Retreat> retreat = {};
    friend bool operator==(const MemberCut&, const MemberCut&) = default;
};

/// What ought to be impossible but depends on data, so is reported and never asserted.
enum class ViolationKind : std::uint8_t {
    below_lower_bound,  ///< K < b: a coordinator commits before all have prepared (rules.md 3)
    before_previous,    ///< K < e of the previous mark: do not place this mark, try again
    fixed_must_retreat, ///< a fixed member would have to retreat: the mark fails
    fixed_outside,      ///< fixed does not lie in [b, r]: the mark fails
    log_gap,            ///< complete_since lies beyond b or K: the mark fails
    log_unread,         ///< log from `cut` to `bound`, below b, could not be read: what was
                        ///< prepared before it is undecided unless it is listed anew
    not_proven,         ///< K < b somewhere, and the logs are not complete that far back: try again
    wanted_outside,     ///< wanted lies before the previous mark's e, or after r: take other marks
};
std::string_view violation_name(ViolationKind kind);

struct Violation {
    ViolationKind kind = ViolationKind::below_lower_bound;
    std::string member = {};
    Offset cut = 0;             ///< K, or where it would have to be
    Offset bound = 0;           ///< what it breaks
    std::string global_id = {}; ///< the transaction that caused it, when one did
    friend bool operator==(const Violation&, const Violation&) = default;
};

struct CutFlags {
    bool two_phase_only = true; ///< commits of one-phase coordinators are invisible (rules.md 7)
    bool heuristic_damage = false;
    bool differs_from_production = false;
    bool unknown_verdicts = false;
    bool lost_prepares = false;
    bool unknown_finishes = false;
    /// Reused ids were told apart by clocks to keep the cut above b.
    bool relies_on_clocks = false;
    friend bool operator==(const CutFlags&, const CutFlags&) = default;
};

struct CutResult {
    std::vector<MemberCut> members = {}; ///< in the order of the input
    std::uint32_t iterations = 0;        ///< rounds in which some member retreated
    Evaluation at = {};          ///< of the cut; its `torn` is empty unless a fixed member failed
    OpenTransactions table = {}; ///< for the next mark
    std::vector<Violation> violations = {};
    CutFlags flags = {};

    /// The mark may be placed: nothing but below_lower_bound and log_unread is wrong, which is
    /// reported.
    bool usable() const;
    friend bool operator==(const CutResult&, const CutResult&) = default;
};

/// The greatest consistent cut at or below r, with everything a mark says about it. Pure;
/// near-linear in the number of events. Throws Error{failed} for input that contradicts itself (b >
/// r, events out of order, a member twice), Error{usage} when there is no member.
CutResult compute_cut(const CutInput& input);

} // namespace tidemark::model
