#pragma once

#include "repo/restore_plan.h"

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

// How plans are made; restore_plan.h is the face. For restore_plan and verify only.
namespace tidemark::repo {

/// Where one member shall be brought, and along which history.
struct MemberGoal {
    std::string member;
    model::History history;
    model::LogPosition target;
    model::LogPosition log_to;
    std::string system_id; ///< empty: any
};

/// The goals of a mark's members; of `wanted` only, when that is not empty.
std::vector<MemberGoal> goals_of(const model::Mark& mark, const std::vector<std::string>& wanted);

/// Among base backups that no set names.
enum class Unclosed : std::uint8_t {
    newest_first, ///< less log to replay
    oldest_first, ///< one serves all marks, so the others may go
};

/// Answers for one view, which must outlive it. Keeps what the answers for many marks share.
class Planner {
public:
    Planner(const RepositoryView& view, bool allow_damaged,
            Unclosed unclosed = Unclosed::newest_first);

    /// The same answer as plan_member, without the details.
    bool reachable(const MemberGoal& goal);
    bool restorable(const model::Mark& mark);
    /// Members that belonged to the group when the mark was placed, and are not in it.
    std::vector<std::string> missing(const model::Mark& mark) const;
    /// The base backup that plan_member would use; null where there is no plan.
    const StoredManifest* choose(const MemberGoal& goal);
    /// The oldest base backup of no set from which every position can be reached that can be
    /// reached from this later one: it is no worse, and the log between them is whole. Null: none.
    const StoredManifest* stand_in(const StoredManifest& backup);
    /// The member's plan, or nothing and the reasons added to `obstacles`.
    std::optional<MemberPlan> plan_member(const MemberGoal& goal, std::vector<Obstacle>& obstacles,
                                          std::vector<std::string>& warnings);

private:
    struct Candidate {
        const StoredManifest* backup = nullptr;
        bool in_set = false;
        std::vector<std::string> lost; ///< objects that are gone or damaged
    };
    struct MemberFacts {
        const MemberView* view = nullptr;
        std::vector<LogPiece> usable;   ///< pieces that are not damaged
        std::vector<Candidate> backups; ///< best first: sound, of a complete set, newest (Unclosed)
        std::map<std::string, model::PieceRef> named; ///< pieces that sets name, by key
        std::vector<std::pair<model::History, std::vector<LogChain>>> chains;
    };

    MemberFacts& facts(const std::string& member);
    MemberFacts make_facts(const std::string& member) const;
    const std::vector<LogChain>& chains(MemberFacts& facts, const model::History& history);
    bool history_known(const MemberFacts& facts, const model::History& history) const;
    /// Is it of the goal's database, on its history?
    static bool lies_on(const model::Manifest& backup, const MemberGoal& goal);
    /// And consistent at or below the goal?
    static bool fits(const StoredManifest& backup, const MemberGoal& goal);
    bool usable(MemberFacts& facts, const Candidate& candidate, const MemberGoal& goal);

    void explain_none(const MemberFacts& facts, const MemberGoal& goal,
                      std::vector<Obstacle>& obstacles) const;
    void explain(MemberFacts& facts, const Candidate& candidate, const MemberGoal& goal,
                 std::vector<Obstacle>& obstacles) const;
    void explain_gap(const MemberFacts& facts, const MemberGoal& goal, model::Number backup,
                     const model::LogRange& gap, std::vector<Obstacle>& obstacles) const;
    MemberPlan make_plan(MemberFacts& facts, const Candidate& candidate,
                         const MemberGoal& goal) const;

    const RepositoryView& view_;
    bool allow_damaged_;
    Unclosed unclosed_;
    std::map<std::string, MemberFacts> facts_;
};

} // namespace tidemark::repo
