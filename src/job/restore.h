#pragma once

#include "job/context.h"
#include "job/restore_state.h"
#include "model/decision_table.h"
#include "repo/restore_plan.h"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

struct RestoreReport;

/// What a host's part of a restore over several hosts (joint_restore.h) knows of the others.
struct JointPart {
    model::Number number = 0; ///< of the restore; 0 until it is entered in the book
    bool opening = false;     ///< false: stops at the mark, closed
    std::map<std::string, std::string> tickets = {}; ///< of the copies here, by member
    /// What decision tables of members elsewhere hold, and who wants to know what those here do.
    model::DecisionRows rows = {};
    std::function<void(const model::DecisionRows&)> publish_rows = {};
};

struct RestoreOptions {
    std::filesystem::path dir;                        ///< DIR/MEMBER/data is made for each member
    std::map<std::string, std::filesystem::path> map; ///< another folder for one member
    /// Another place for a tablespace, by member and oid; otherwise DIR/MEMBER/tablespaces/OID.
    std::map<std::pair<std::string, std::uint32_t>, std::filesystem::path> tablespaces;
    std::filesystem::path repository = {}; ///< its folder, where it is one; nothing goes there
    std::string user;                      ///< the server's system user; empty: this one
    std::optional<std::filesystem::path> bin_dir;
    std::vector<std::string> preload;
    std::string helper; ///< path of the tidemark program, for restore_command
    bool settle = true; ///< false keeps everything in doubt prepared
    /// The operator's word where there is no evidence: (member, gid) -> commit.
    std::map<std::pair<std::string, std::string>, bool> decisions;
    /// Where each of them stands, "FILE:LINE", for messages.
    std::map<std::pair<std::string, std::string>, std::string> decision_lines = {};
    /// Replace a restore of ours in the target that is handed over or led to another mark; what no
    /// restore wrote is never removed.
    bool force = false;
    bool start = false;
    bool as_production = false;
    /// A copy that is thrown away: its new timelines' numbers are not taken in the repository.
    bool scratch = false;
    std::optional<JointPart> joint = {};
    /// Stop after phase 1 of an arbitrary vector and let the server itself find the point
    /// (contrasts only).
    std::map<std::string, engine::RecoveryGoal> goals = {};
    /// Is given the report before any member is opened; what it throws keeps them closed.
    std::function<void(const RestoreReport&)> keep_report = {};
};

struct RestoredMember {
    std::string name;
    std::filesystem::path folder;
    std::filesystem::path data_dir;
    model::Number backup = 0;
    bool damaged = false;        ///< that backup is known to hold damaged pages
    std::uint64_t bytes = 0;     ///< of files, as planned
    std::uint64_t log_bytes = 0; ///< replayed
    model::LogPosition target;
    model::LogPosition reached;
    std::string evidence;   ///< the server's own words about where it stopped
    model::Epoch epoch = 0; ///< the new one
    std::vector<Decision> decisions;
    std::vector<std::string> warnings;
    engine::HandOver hand_over;
    base::Duration write_time{}, recover_time{}, open_time{};
};

/// Work that the stored log shows after the restored position, and that is therefore lost: along
/// the newest stored history that passes through it. What a failover had abandoned before was not
/// lost by the restore.
struct LostWork {
    std::string member;
    model::LogPosition from, to;
    std::string unknown = {};      ///< why the rest cannot be told; what follows is a part then
    std::uint64_t commits = 0;     ///< of users: see LogIndex::commits
    std::vector<std::string> gids; ///< of distributed transactions committed there
};

struct RestoreReport {
    std::string group;
    std::optional<repo::StoredMark> mark;
    base::Time started, ended;
    std::vector<RestoredMember> members;
    std::optional<std::vector<LostWork>> lost; ///< absent: not looked for yet
    std::vector<std::string> warnings;
    bool unsettled = false;              ///< something in doubt was kept: exit 3
    std::vector<std::string> notes = {}; ///< the plan's, and one of the tables
};

/// What a restore would run into on this host, before anything is written. Throws target_not_empty,
/// out_of_space, member_not_ready, not_restorable (as production, without the configuration for
/// it), usage; returns warnings.
std::vector<std::string> check_restore(const Context& context, const repo::RestorePlan& plan,
                                       const RestoreOptions& options);

/// The part of it that holds at any place, where none is named yet.
std::vector<std::string> check_anywhere(const repo::RestorePlan& plan,
                                        const RestoreOptions& options);

/// Error{usage} when the operator's decisions cannot be carried out: see operator_words.h.
void check_decisions(const Context& context, const repo::RestorePlan& plan,
                     const RestoreOptions& options);

/// A restore that goes on keeps the base backup it was begun from, which need not be the one that a
/// plan made later names; one that found objects damaged does not go back to these, and the plan
/// warns of them. Error{not_restorable} when the repository has lost it.
void keep_backups(const repo::RepositoryView& view, const RestoreOptions& options,
                  repo::RestorePlan& plan);

/// Restores the group by `plan` (docs/architecture.md). Continues an unfinished restore of the same
/// mark in the same place.
RestoreReport restore_group(const Context& context, const repo::RestorePlan& plan,
                            const RestoreOptions& options);

/// Gives up an unfinished restore (with `force` a handed-over one, too): stops its servers and
/// removes what it wrote, and nothing else. Returns what was removed. Error{target_not_empty},
/// before anything is removed, when a folder holds no restore of ours or a running server.
std::vector<std::filesystem::path> discard_restore(const Context& context,
                                                   const repo::RestorePlan& plan,
                                                   const RestoreOptions& options);

/// What discard_restore, or restore_group with `force`, would remove first.
std::vector<std::filesystem::path> would_remove(const Context& context,
                                                const repo::RestorePlan& plan,
                                                const RestoreOptions& options, bool discard);

/// Commits after each member's restored position that the stored log shows. Log that cannot be read
/// is no Error but LostWork::unknown.
std::vector<LostWork> find_lost_work(const Context& context, const repo::RestorePlan& plan);
/// Completes a report with it, and warns of what cannot be told.
void add_lost_work(const Context& context, const repo::RestorePlan& plan, RestoreReport& report);

/// The folder of one member: the mapped one, or DIR/MEMBER.
std::filesystem::path member_folder(const RestoreOptions& options, const std::string& member);
/// The place of one of its tablespaces: the mapped one, or DIR/MEMBER/tablespaces/OID.
std::filesystem::path tablespace_folder(const RestoreOptions& options, const std::string& member,
                                        std::uint32_t oid);

} // namespace tidemark::job
