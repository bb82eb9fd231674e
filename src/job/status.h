#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "job/context.h"
#include "model/objective.h"
#include "repo/drills.h"
#include "repo/open_runs.h"
#include "repo/runs.h"
#include "repo/view.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

/// A transaction that has been prepared for long: nobody finishes it (a lost coordinator), and it
/// holds locks and stops vacuum.
struct OrphanedBranch {
    model::PreparedBranch branch;
    base::Duration age{};
};

struct MemberStatus {
    std::string name;
    /// As the member answered; empty when it was not asked or did not answer.
    std::optional<model::Identity> identity;
    engine::SlotState slot;
    std::string piled_up; ///< log behind the slot, above log_guard.warn: a sentence; else empty
    std::size_t prepared = 0;
    std::vector<OrphanedBranch> orphans;
    std::vector<engine::Standby> standbys;    ///< the other servers that its urls name
    std::vector<engine::OwnSlot> stray_slots; ///< of ours, but no configuration names them
    std::string error;                        ///< why it did not answer
    /// Another cluster answered than the one that is stored: `error` says so, and nothing else is
    /// told of it.
    bool other_cluster = false;
    bool has_left = false; ///< by the repository; this configuration still names it

    std::string chain;         ///< of the stored log: "complete", or where the newest gap is
    bool chain_broken = false; ///< also when no slot keeps the log that comes next
    std::optional<std::uint64_t> behind_bytes;  ///< written at the member, not yet stored
    std::optional<repo::StoredManifest> backup; ///< newest
};

/// One thing that an operator should look at (docs/guide/what-to-do.md, "3 warnings").
struct AttentionReason {
    std::string name;   ///< stable: "no slot", "last run failed", ...
    std::string member; ///< whose it is, or empty
    std::string text;
};

/// A base backup that somebody is taking now.
struct RunningBackup {
    base::Time since; ///< by the store's clock
    repo::LeaseOwner owner;
};

/// How a group stands: a value.
struct GroupStatus {
    std::string group;
    base::Time now;
    std::optional<repo::StoredMark> restorable; ///< the newest mark that can be restored
    bool has_marks = false;
    std::optional<repo::StoredSet> last_full;
    std::optional<base::Time> next_full; ///< when configured
    /// Why a full backup is due, also while it is being taken; empty: none is.
    std::string full_due;
    /// Until when none is tried, because those before failed; empty: that is not so.
    std::string full_paused;
    /// That they fail, and what comes next: also between the end of the pause and the next try,
    /// and while that is under way.
    std::string full_fails;
    /// Likewise of one that a broken chain or a lost slot needs, whether it is needed or not.
    std::optional<base::Time> healing_paused;
    std::optional<RunningBackup> full_running;
    std::optional<model::Proof> proof;            ///< the newest
    std::optional<repo::StoredDrill> last_drill;  ///< or restore, whatever it says
    std::vector<model::ObjectiveState> objective; ///< what is asked for, when configured
    /// Age of the newest restorable mark beside what the group's own rhythm lets expect
    /// (model/rhythm.h); absent where the objective says it, and where nothing is restorable.
    std::optional<model::ObjectiveState> rhythm;
    std::optional<repo::StoredRun> last_run; ///< of those that store something
    /// The newest one that failed and that none has made good since.
    std::optional<repo::StoredRun> failed_run;
    /// Likewise, as this host remembers it: the repository could not be told.
    std::optional<model::Run> unrecorded_run;
    std::vector<repo::OpenRun> broken_off; ///< of those that store something, not yet recorded
    std::size_t broken_off_lately = 0;     ///< these and those among the latest recorded ones
    std::vector<MemberStatus> members;
    std::vector<std::string> lost; ///< sentences: what a failover left half there (rules.md 13)
    std::vector<std::string>
        damage;                    ///< likewise since last_full: what production tore (rules.md 8)
    std::vector<std::string> left; ///< in the repository, and belong to the group no more
    /// In the repository, not in the configuration, and have not left: no mark is placed without.
    std::vector<std::string> unnamed;
    std::map<std::string, std::string> unreadable; ///< commit objects, with the reason

    bool is_restorable() const { return restorable.has_value(); }
    bool meets_objective() const;
    /// The newest restorable mark is older than this group's marks usually get.
    bool is_late() const { return rhythm && !rhythm->met; }
    /// What an operator should look at, in the order of importance.
    std::vector<AttentionReason> attention() const;
    bool needs_attention() const;
};

/// Warnings, another job at work, and being told to stop are no failures of a run.
bool run_failed(int exit_code);
/// Jobs that make what can be restored: run, backup, mark, log.
bool stores_something(const std::string& command);
/// A failure that somebody must be told of until a later run worked.
bool counts_as_failed(const model::Run& run);
/// `run` worked, and did all that one of `command` is for.
bool makes_good(const model::Run& run, const std::string& command);
/// `failed` when it counts and no later one among those recorded made it good.
std::optional<model::Run> not_made_good(const std::optional<model::Run>& failed,
                                        const std::vector<repo::StoredRun>& recorded);
/// How many of the latest recorded runs tell how a group stands.
inline constexpr std::size_t kLatestRuns = 16;

struct StatusOptions {
    bool ask_members = true; ///< else from the repository alone
    /// Names of the slots that the configuration has a use for; what else is named like ours is
    /// told. Empty: nothing is told.
    std::vector<std::string> known_slots = {};
    /// Members that did not answer just now, with why: they are not asked again.
    std::map<std::string, base::Error> absent = {};
    /// A run that failed and could not be recorded, as this host remembers it.
    std::optional<model::Run> unrecorded = {};
};

/// Slots at this server that are named like ours and that nothing in `known` names.
std::vector<engine::OwnSlot> stray_slots(engine::Session& session,
                                         const std::vector<std::string>& known);

GroupStatus read_status(const Context& context, const repo::RepositoryView& view,
                        const StatusOptions& options);

} // namespace tidemark::job
