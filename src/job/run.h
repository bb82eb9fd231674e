#pragma once

#include "job/absent.h"
#include "job/backup.h"
#include "job/failed_full.h"
#include "job/mark.h"
#include "repo/restore_plan.h"
#include "repo/view.h"

#include <functional>
#include <optional>
#include <string>

namespace tidemark::job {

/// What one scheduled run has to do.
struct RunDecision {
    bool full = false;
    bool broken = false;      ///< the full backup heals: without it no newer mark can be restored
    bool by_schedule = false; ///< for no other reason
    bool paused = false;      ///< one is wanted, but those before it failed: later, only a mark now
    std::string why; ///< one line for people: why a full backup is due, or until when none is
    std::string warning = {}; ///< what a person should know, or empty
};

/// Pure. A full backup is due when there is no complete one, when the newest mark cannot be
/// restored (the chain broke), or when the last scheduled moment is later than the start of the
/// newest complete full one. With `full = "off"` only the first two count. A start that is still to
/// come (a clock was ahead) does not count, and is warned of. Each try reads production and takes
/// room: after some that failed the next one waits (paused_until), and that is warned of, too.
RunDecision decide_run(const model::GroupSpec& group, const repo::RepositoryView& view,
                       base::Time now, const FailedFulls& failed = {});

struct RunOutcome {
    RunDecision decision; ///< as carried out
    bool healed = false;  ///< log backups could not go on, or the chain had broken: hence the full
    std::optional<BackupOutcome> backup;
    MarkOutcome mark;                ///< the newest: that of a backup is its closing mark
    std::size_t marks_meanwhile = 0; ///< placed while the full backup ran
};

/// One run of the job, for cron or a timer: a full backup when one is due, else a mark with its log
/// backups; only the latter while full backups that failed make the next one wait. A broken chain
/// (slot gone or lost, a gap, a newest mark that cannot be restored) is healed by a full backup in
/// the same run. While a full backup runs, marks go on every `mark.every`; when another process is
/// taking one, or this one fails, the mark and the log backup are made all the same, so that the
/// servers can recycle their log (then its error is thrown). Where no mark can be placed, the log
/// of each member that answers is backed up by itself. Nobody waits for a member that is `absent`
/// already: no mark is tried then, and the others' log is taken at once. `log_fails` as in
/// BackupOptions: when it throws, the caller knows anyway.
RunOutcome run_scheduled(const Context& context, Absent& absent, const LogFails& log_fails = {});
RunOutcome run_scheduled(const Context& context);

/// A log backup without a mark. One member that fails must not cost the slots of the others: then
/// the log of each that answers is backed up by itself, and the error is thrown all the same. After
/// a `stop` no further member is asked; what is under way goes by the context's own.
LogOutcome back_up_log_of_all(const Context& context, const std::stop_token& stop = {});

} // namespace tidemark::job
