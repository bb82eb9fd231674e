#pragma once

#include "base/clock.h"
#include "model/cut.h"
#include "model/log_position.h"
#include "model/open_transactions.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// One member's line of a mark.
struct MarkMember {
    std::string name = {};
    std::string engine = {}; ///< "postgresql"
    std::string system_id =
        {}; ///< as the server names itself; not an identity by itself (rules.md 13)
    std::string version = {}; ///< of the server, for people
    History history{};        ///< its current epoch is the epoch of all offsets below
    Offset b = 0;
    Offset r = 0; ///< start of the restore point's record
    Offset r_end = 0;
    Offset e = 0;
    LogPosition cut = {}; ///< K: recover to here, exclusive
    Offset log_end = 0;   ///< end of the log this mark needs (rules.md 2): at least max(r_end, e)
    std::uint64_t retreat_bytes = 0;
    std::optional<Retreat> retreat = {};
    std::optional<ClockReading> clock = {};
    /// By which its gids were read: whoever computes from this member's log again needs the same.
    /// Empty in marks that do not say it.
    std::string gid_pattern = {};
    /// A moment in the past was asked for: start of this member's first commit or abort after it,
    /// or r where there is none; b, r, r_end and e are those of the next mark (rules.md 40).
    std::optional<Offset> wanted = {};
    friend bool operator==(const MarkMember&, const MarkMember&) = default;
};

/// A branch that was committed inside the cut while its decision might lie outside.
struct LateCommit {
    std::string member = {};
    std::string gid = {};
    std::string global_id = {};
    LogPosition commit = {};
    /// A failover may have taken the decision, so later marks list it, too.
    bool carried = false;
    /// When carried: the members with a table, one of whose failovers that was. Empty in marks that
    /// do not say it: any of them.
    std::vector<std::string> failed_over = {};
    /// When carried: by our clock, when it was committed at the earliest, as far as is known. Marks
    /// of older programs have here when the mark that found it was placed; absent: that is this
    /// one.
    std::optional<base::Time> found = {};
    /// An earlier mark found it, and `found` is so long before (kRowsStay) this one that its row
    /// may have been tidied as well.
    bool inherited = false;
    friend bool operator==(const LateCommit&, const LateCommit&) = default;
};

/// A named cut with its proof (rules.md 2, 4). A value; src/repo stores it.
struct Mark {
    std::string id = {};      ///< object name in the repository: time first, so ids sort by age
    std::uint64_t number = 0; ///< 1, 2, ... in the group
    std::string name = {};    ///< what a person called it; may be empty
    std::string group = {};
    std::string restore_point = {}; ///< name of the restore points; informational (rules.md 9)
    /// Our clock, when the last restore point had answered; of a moment, the time asked for.
    base::Time created = {};
    base::Duration spread{}; ///< first restore point sent to last one answered
    std::vector<MarkMember> members = {};
    std::uint32_t iterations = 0;
    std::optional<std::string> previous = {}; ///< id of the mark whose table was used
    std::vector<Sweep> anchor = {};           ///< used instead, on the first mark; for audit
    Evaluation at = {};
    OpenTransactions table = {};
    std::vector<Violation> violations = {};
    CutFlags flags = {};
    std::vector<DecisionTable> decision_tables = {};
    std::vector<LateCommit> decided = {}; ///< only with decision tables
    std::uint64_t decided_left_out = 0;   ///< commits around failovers beyond what is listed

    /// A cut taken later from the stored logs, not from restore points. Its table serves nobody:
    /// the next mark goes on from the newest one that is no moment.
    bool is_moment() const { return !members.empty() && members.front().wanted.has_value(); }
    friend bool operator==(const Mark&, const Mark&) = default;
};

} // namespace tidemark::model
