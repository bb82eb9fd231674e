#pragma once

#include "model/log_position.h"
#include "model/mark.h"
#include "repo/view.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::repo {

struct PlannedPiece {
    LogPiece piece;
    std::optional<model::Digest> sha256; ///< absent for pieces no set names (yet)
};

/// How one member gets to its position.
struct MemberPlan {
    std::string member;
    StoredManifest backup;
    bool damaged = false;        ///< the only backup that fits holds damaged pages
    model::History history;      ///< along which recovery runs
    model::LogPosition target;   ///< recovery stops before the first record at or after it
    model::LogPosition log_from; ///< the backup's start
    model::LogPosition log_to;   ///< log needed up to here so that the target can be recognised
    std::vector<PlannedPiece> pieces;        ///< cover [log_from, log_to), in order
    std::vector<model::Epoch> history_files; ///< needed to follow `history`
    std::uint64_t bytes_to_write = 0;        ///< plain bytes of files, zeros left out
    std::uint64_t file_bytes = 0;   ///< sum of the files' sizes: room that the target must have
    std::uint64_t log_bytes = 0;    ///< log_from .. log_to
    std::uint64_t stored_bytes = 0; ///< to read: packs, page map, pieces
};

struct RestorePlan {
    std::string group;
    std::optional<StoredMark> mark; ///< plan_restore always sets it
    std::map<std::string, MemberPlan> members;
    std::uint64_t bytes_to_write = 0; ///< sums over the members
    std::uint64_t file_bytes = 0;
    std::uint64_t log_bytes = 0;
    std::uint64_t stored_bytes = 0;
    std::vector<std::string> warnings;
    std::vector<std::string> notes;      ///< true of it, and nothing to act on now
    std::vector<std::string> half_there; ///< in it, as production left it: see model/lost.h
};

enum class ObstacleKind : std::uint8_t {
    no_backup = 1,   ///< none that is complete and consistent at or below the position
    backup_damaged,  ///< only with damaged pages, and these were not allowed
    log_gap,         ///< the log from the backup to the mark is not unbroken
    missing_object,  ///< a pack, page map or piece is gone or damaged
    missing_history, ///< a timeline's history file is not stored
    not_in_mark,     ///< the mark has no position for this member of the group
    other_branch,    ///< the backups lie on an abandoned branch of the member's history
};

/// Why a member cannot be restored to a position.
struct Obstacle {
    ObstacleKind kind = ObstacleKind::no_backup;
    std::string member;
    std::string text; ///< one line for people
    std::optional<model::LogRange> gap;
    std::optional<std::string> object;
};

struct PlanResult {
    std::optional<RestorePlan> plan; ///< absent when there are obstacles
    std::vector<Obstacle> obstacles;
    std::optional<model::Number> before; ///< nearest restorable marks; filled when there is no plan
    std::optional<model::Number> after;
};

struct PlanOptions {
    /// Members to restore; empty: all of the mark.
    std::vector<std::string> members = {};
    bool allow_damaged = true; ///< use a backup with damaged pages when there is no other (flagged)
    bool alone = false;        ///< the group's consistency is not asked for
};

/// Pure: the plan for a mark, or every reason why there is none.
PlanResult plan_restore(const RepositoryView& view, model::Number mark,
                        const PlanOptions& options = {});

/// Those of the plan's warnings that `mark` and the marks before it are the reason of, and no
/// member's backup or log.
std::vector<std::string> mark_warnings(const RepositoryView& view, const model::Mark& mark);

/// Pure: the way to the same goal when `damaged` objects are avoided beside the view's own; nothing
/// when there is none.
std::optional<MemberPlan> plan_around(RepositoryView view, const MemberPlan& member,
                                      const std::set<std::string>& damaged,
                                      std::vector<std::string>& warnings);
/// Puts it in the place of the same member's plan.
void replace_member(RestorePlan& plan, MemberPlan member);

/// Error{not_restorable} listing the obstacles and the nearest marks.
RestorePlan need_plan(PlanResult result);

/// The newest restorable mark that is no moment, if any.
std::optional<model::Number> newest_restorable(const RepositoryView& view);
/// Which of the view's marks can be restored, ascending; much cheaper than a plan for each.
std::vector<model::Number> restorable_marks(const RepositoryView& view);

} // namespace tidemark::repo
