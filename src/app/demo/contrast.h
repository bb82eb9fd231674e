#pragma once

#include "app/demo/bank_check.h"
#include "job/restore.h"

#include <map>
#include <string>

namespace tidemark::app {

/// Servers that a restore left running; stopped at the end.
class RestoredGroup {
public:
    explicit RestoredGroup(job::RestoreReport report) : report_(std::move(report)) {}
    RestoredGroup(const RestoredGroup&) = delete;
    RestoredGroup& operator=(const RestoredGroup&) = delete;
    ~RestoredGroup();

    const job::RestoreReport& report() const { return report_; }
    /// The bank, at the restored servers.
    BankOptions bank(BankOptions options) const;
    /// libpq's, for one database of a member.
    static std::string conninfo(const job::RestoredMember& member, const std::string& database);
    void stop();

private:
    job::RestoreReport report_;
    bool stopped_ = false;
};

/// Places restore points of one name on one member after the other, each over a connection of its
/// own, as a script would. Returns the name.
std::string place_points_in_turn(const std::vector<BankMember>& members, const std::string& name);

/// The time now, which every member can be restored to: each has a commit later than it on return.
/// Recovery to a time ends at the first commit or abort after it, and fails where the log has none.
base::Time reachable_time(const std::vector<BankMember>& members, base::Clock& clock);

/// Restores a repository in the ways that do without a cut.
struct ContrastLab {
    job::Context context;
    const BankOptions& bank;
    const Witness& witness;

    using Goals = std::map<std::string, engine::RecoveryGoal>;
    /// The server's own recovery_target_time, the same on every member.
    Goals goals_at(base::Time time, const model::Mark& mark) const;
    /// The server's own recovery_target_name.
    Goals goals_at(const std::string& point, const model::Mark& mark) const;
    /// Each member to its goal, opened with its prepared transactions as PostgreSQL leaves them.
    job::RestoreReport restore(job::RestoreOptions options, Goals goals) const;
    /// Commits and rolls back what is prepared, by what the logs up to the reached positions show.
    void settle(const RestoredGroup& group) const;
    BankVerdict judge(const RestoredGroup& group) const;
};

} // namespace tidemark::app
