#pragma once

#include "base/clock.h"
#include "engine/engine.h"
#include "job/absent.h"
#include "job/progress.h"
#include "model/group.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::job {

/// How near the log that our slot holds back has come to an end of its room.
struct LogPressure {
    double share = 0;  ///< of the nearer end; above 1 when it is past it
    std::string where; ///< "of its bound of 8 GiB", "of the room beside it", "no bound is known"
};

/// Pure. The slot's bound (max_slot_wal_keep_size) counts, and the disk beside the log where we can
/// see it: there the share is that of the held bytes in held plus free.
LogPressure log_pressure(const engine::SlotState& slot);

enum class GuardAction { none, warn, drop };
GuardAction guard_action(const model::LogGuard& policy, const engine::SlotState& slot,
                         const LogPressure& pressure);

/// "our slot holds 56 MiB of log, 87 % of its bound of 64 MiB", where run would warn of it; else
/// empty.
std::string piled_up_log(const model::LogGuard& policy, const engine::SlotState& slot);

/// The check `slot` of a session, which knows no policy, waits where run would warn.
void check_held_log(const model::LogGuard& policy, const engine::SlotState& slot,
                    std::vector<engine::Check>& checks);

/// System identifiers by member: whose log the repository holds.
using KnownClusters = std::map<std::string, std::string>;

/// Who guards: the members of a group, reached without any repository, because it may be just the
/// repository that fails.
struct GuardedGroup {
    const model::GroupSpec& group;
    std::function<engine::Engine&(const model::MemberSpec&)> engine;
    Progress& progress;
    base::Clock& clock;
    std::stop_token stop;
    /// From the repository, or as this host remembers them; nothing where neither can be asked.
    std::function<std::optional<KnownClusters>()> clusters;
    /// Told of every slot that was dropped, at once: who dies after that has noted it. May be
    /// empty.
    std::function<void(const std::string& sentence)> dropped = {};
    std::shared_ptr<Absent> absent = std::make_shared<Absent>();
    /// Of these, whom watch_held_log() could not even connect to. What others found absent may hang
    /// in its log stream only: its slot can be dropped all the same.
    std::shared_ptr<Absent> unreached = std::make_shared<Absent>();
    /// Where it is given, relieve_servers() warns of one thing at one member once, and notes it
    /// after that: beside a full backup it is called every minute.
    std::shared_ptr<std::set<std::string>> warned = {};
    /// Beside a full backup a member that does not answer may do so at the next turn: unless that
    /// lasts, it is a note that nobody could look there.
    bool lasting = true;
};

/// Warns of every member whose held log is above log_guard.warn. Members that do not answer are
/// left to others to report; those that keep it waiting as long as a mark would are absent.
void watch_held_log(const GuardedGroup& guarded);

/// To be called when the log could not be backed up: drops the slot of every member whose held log
/// is above log_guard.drop, so that the server's disk does not fill up. The chain breaks there and
/// then; the next run finds the slot missing and heals with a full backup. A slot of another
/// cluster than the known one is not ours, and neither is one where nothing is known: it is
/// reported and stays. Whoever was not reached before is not asked again. Warns wherever it could
/// not look, or not drop. Returns a sentence for each slot that was dropped, each warned of.
std::vector<std::string> relieve_servers(const GuardedGroup& guarded);

} // namespace tidemark::job
