#pragma once

#include "job/context.h"
#include "job/crew.h"
#include "job/log_receiver.h"
#include "model/cut.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

/// What placing restore points on all members yielded, before the cut is computed.
struct Placement {
    struct Member {
        model::Offset before = 0; ///< read on all members before b; with decision tables only
        model::Offset b = 0;
        model::Offset r_end = 0;
        model::Offset e = 0;
        std::optional<model::ClockReading> clock;
    };
    std::string restore_point;
    base::Time created;
    base::Duration spread{};
    std::chrono::steady_clock::time_point
        first_sent; ///< before the first restore point was asked for
    std::chrono::steady_clock::time_point last_answered; ///< after the last one had answered
    std::vector<Member> members;                         ///< in the order of the group
};

/// How long a mark waits for another job's log lease: that job may be placing one, which is short.
/// docs/guide/operate.md says how long.
inline constexpr auto kLeasePatience = std::chrono::seconds{10};

/// The log backups of all members of a group, under the lease "log". Every step runs on all members
/// at once.
class GroupLog {
public:
    /// Takes the lease. Error{lease_held} when another job has it; waits up to `patience` for that.
    explicit GroupLog(const Context& context, base::Duration patience = {});
    ~GroupLog();

    /// Connects and opens all receivers; above zero, `within` bounds that, and each server's first
    /// answer in catch_up().
    void open(base::Duration within = {});
    /// Brings every member's stored log up to what the server has flushed now.
    void catch_up();
    /// Reads b, places restore points named `name` on all members at once, reads e
    /// (docs/consistency.md). Nothing is visible in the repository yet. Error{mark_not_placed} at
    /// the deadline.
    Placement place(const std::string& name, std::chrono::steady_clock::time_point deadline);
    /// Makes every member's log durable up to its e.
    void secure(const Placement& placement, std::chrono::steady_clock::time_point deadline);
    void finish();

    std::size_t size() const { return context_.group.members.size(); }
    const LogReceiver& receiver(std::size_t member) const { return *receivers_[member]; }
    engine::Session& session(std::size_t member) { return *sessions_[member]; }
    const repo::Lease& lease() const { return *lease_; }
    const Crew& crew() const { return crew_; }

private:
    std::chrono::steady_clock::time_point answer_due() const;
    model::ClockReading read_clock(engine::Session& session);

    const Context& context_;
    std::unique_ptr<repo::Lease> lease_;
    base::Duration within_{};
    Crew crew_;
    std::vector<std::unique_ptr<engine::Session>> sessions_;
    std::vector<std::unique_ptr<LogReceiver>> receivers_;
};

/// Names of a group's members, in order.
std::vector<std::string> member_names(const model::GroupSpec& group);

} // namespace tidemark::job
