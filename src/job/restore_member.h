#pragma once

#include "base/fd.h"
#include "job/context.h"
#include "job/in_doubt.h"
#include "job/log_feeder.h"
#include "job/log_needs.h"
#include "job/reading.h"
#include "job/restore.h"
#include "job/restore_space.h"

#include <memory>
#include <optional>

namespace tidemark::job {

/// One member on its way from a plan to a server that is handed over. The steps are called in order
/// by the group's restore; each does nothing when the state file says that it was done.
class MemberRestore {
public:
    MemberRestore(const Context& context, const repo::RestorePlan& plan,
                  const repo::MemberPlan& member, const RestoreOptions& options);

    const RestoreState& state() const { return state_; }
    /// Refuses what must not be overwritten, checks programs; writes nothing. Returns warnings.
    std::vector<std::string> preflight();
    /// What goes where; nothing for a restore that goes on.
    std::vector<SpaceNeed> space_needs() const;
    /// Makes the folders, or takes an unfinished restore up again.
    void begin();
    void write_files(std::stop_token stop);
    /// Phase 1.
    void recover(std::stop_token stop);
    /// Phase 2.
    void promote(std::stop_token stop);
    void settle();
    /// Verdicts of decision tables, by member and gid; used by settle() and owned by the caller.
    void use_verdicts(const TableVerdicts& all) { verdicts_ = &all; }
    /// Into the state file, for a run that does not ask the tables any more.
    void keep_table_warnings(const std::vector<std::string>& sentences);
    /// Writes what the member is handed over with, and tries it where only we see it.
    void prepare_hand_over(std::stop_token stop);
    /// Opens it; the state does not say so before finish().
    void hand_over();
    void finish();
    /// Closes it again after hand_over() or finish().
    void take_back();
    /// Does the folder hold an unfinished restore that this one goes on with?
    bool continues() const;
    /// Will promote() go for a timeline's number in the repository?
    bool will_claim() const;
    /// How far the restore to this plan's mark in the folder is; empty when there is none.
    std::optional<RestorePhase> phase_here() const;
    /// What it did about what was in doubt; nothing when that restore is about to be replaced.
    std::vector<Decision> decisions_here() const;
    /// How many branches that restore keeps prepared.
    std::size_t kept_here() const;
    /// Do the operator's decisions settle what the handed-over restore here kept prepared?
    bool would_settle_more() const;
    /// One that is handed over goes on as well: the group's restore is not at its end.
    void take_up_again() { takes_up_again_ = true; }
    /// What --force or --discard would remove here; nothing where no restore of ours lies.
    std::vector<std::filesystem::path> removals() const;
    /// May discard() do its work? Error{target_not_empty} when a server runs here, when it was
    /// handed over (unless forced), and when it is no restore of ours.
    void require_discardable() const;
    /// Stops what runs and removes what a restore wrote; returns what that was.
    std::vector<std::filesystem::path> discard();
    RestoredMember report() const { return report_; }
    /// Sentences about base backups that this run found damaged, and went round.
    const std::vector<std::string>& went_round() const { return went_round_; }
    bool unsettled() const { return unsettled_; }
    engine::RestoreTarget& target() { return *target_; }

private:
    std::filesystem::path work_dir() const { return folder_ / "tidemark"; }
    std::filesystem::path state_file() const { return work_dir() / "state.json"; }
    /// Of folders of ours that the server's user has to pass.
    mode_t enterable() const { return owner_ ? 0711 : 0700; }
    std::filesystem::path tablespace(std::uint32_t oid) const;
    void enter(RestorePhase phase);
    void refuse_running_server(const std::filesystem::path& data_dir) const;
    void refuse_occupied() const;
    void refuse_other_restore(const RestoreState& stored) const;
    void refuse_other_part(const RestoreState& stored) const;
    void take_up(const RestoreState& stored);
    /// What the plan names: for the report.
    void describe_plan();
    void write_planned_files(std::stop_token stop);
    /// Goes on with another base backup, where one of the planned one's objects is damaged (`why`
    /// names it). False when it names none, or no other leads to the goal.
    bool take_other_backup(const base::Error& why);
    bool continues(const std::optional<RestoreState>& stored) const;
    void require_extensions();
    /// Read once.
    engine::Engine& engine() const; ///< of this member
    const LogNeeds& needs();
    std::vector<engine::LogPatch> log_patches();
    std::filesystem::path created_place(std::uint32_t oid) const;
    engine::RecoverySpec recovery_spec();
    engine::HandOverOptions hand_over_options() const;
    bool needs_own_helper() const;
    std::string helper_path() const;
    /// A number for the new timeline; see RestoreState::unclaimed.
    void take_epoch();
    void start_feeder();
    bool is_same_restore(const RestoreState& stored) const;

    const Context& context_;
    const repo::RestorePlan& plan_;
    repo::MemberPlan member_; ///< a copy: another base backup may have to do
    const RestoreOptions& options_;
    model::MemberId id_;
    std::filesystem::path folder_;
    std::filesystem::path data_dir_;
    std::optional<Owner> owner_;
    RestoreState state_;
    base::Fd top_;  ///< folder_
    base::Fd work_; ///< work_dir()
    base::Fd lock_;
    RestoredMember report_;
    bool unsettled_ = false;
    bool takes_up_again_ = false;
    const TableVerdicts* verdicts_ = nullptr;
    std::optional<LogNeeds> needs_;
    std::unique_ptr<engine::RestoreTarget> target_;
    std::unique_ptr<LogFeeder> feeder_;
    std::unique_ptr<Reading> other_reading_; ///< of what the group's plan does not name
    std::vector<std::string> went_round_;
};

/// A line of tablespace_map. Error{usage} for a path that this version cannot read from it.
std::string tablespace_line(std::uint32_t oid, const std::filesystem::path& place, int version_num);

/// What all members of a restore would run into on this host, the room for all of them too. Returns
/// warnings.
std::vector<std::string> preflight(const Context& context, const repo::RestorePlan& plan,
                                   const RestoreOptions& options,
                                   const std::vector<std::unique_ptr<MemberRestore>>& members);

/// A warning when the repository will not know of the timelines that a restore begins.
std::optional<std::string>
foreseen_unclaimed(const Context& context, const repo::RestorePlan& plan,
                   const std::vector<std::unique_ptr<MemberRestore>>& members);

} // namespace tidemark::job
