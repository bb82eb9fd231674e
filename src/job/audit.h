#pragma once

#include "job/context.h"
#include "model/cut.h"
#include "repo/marks.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

struct AuditReport {
    repo::StoredMark mark;
    model::CutResult recomputed;
    std::uint64_t log_bytes = 0; ///< decoded anew for it
    /// Branches and flags were compared, too: all log is there that was when the mark was placed.
    bool whole = false;
    /// By member, where the stored log begins, of those whose log from before was let go.
    std::map<std::string, model::LogPosition> older_gone;
    std::vector<std::string> differences; ///< empty: the stored proof is what the logs say
    bool good() const { return differences.empty(); }
};

/// Recomputes a mark's proof from the stored log itself (indexes are not trusted) and compares it
/// with what is stored: cuts, verdicts, spanning and open transactions, flags. Where log from
/// before the mark's own was let go by retention, cuts and verdicts only. Errors: log_gap when log
/// is no longer stored that the proof needs, and that retention keeps as long as the mark.
AuditReport audit_mark(const Context& context, const std::string& mark);

/// Everything the stored log shows about one gid or global id, as `mark` reads gids.
struct GidEvent {
    std::string member;
    model::TransactionEvent event;
    /// Does the mark contain it? It does not what lies on another timeline's way, an abandoned tail
    /// for instance, wherever that ends. Absent of members that the mark does not name.
    std::optional<bool> inside = {};
};
std::vector<GidEvent> explain_gid(const Context& context, const model::Mark& mark,
                                  const std::string& gid);

} // namespace tidemark::job
