#pragma once

#include "job/mark.h"
#include "repo/backups.h"

#include <functional>
#include <string>
#include <vector>

namespace tidemark::job {

/// Called, never twice at once, when the log could not be backed up of all members while a full
/// backup copies, for the `in_a_row`th time; on a thread of its own. True when a slot was dropped:
/// then no mark can close that backup any more.
using LogFails = std::function<bool(int in_a_row)>;

struct BackupOptions {
    std::string mark_name;    ///< of the closing mark
    bool counts_anew = false; ///< those that failed before it were not to heal the chain
    /// By schedule, with a chain that was whole: when that breaks meanwhile (log_gap), the next one
    /// is another, to heal, and no failure makes it wait.
    bool by_schedule = false;
    LogFails log_fails = {}; ///< may be empty
};

struct BackupOutcome {
    struct Member {
        std::string name;
        repo::StoredManifest manifest;
        base::Duration took{};
        bool new_slot = false;  ///< it was missing, lost or ahead of us, and was made anew
        bool new_chain = false; ///< therefore its log has a gap before here
    };
    std::vector<Member> members;
    MarkOutcome closing;
    bool damaged = false; ///< a page stayed bad: exit 3
};

/// Full base backups of all members at once, then marks until one lies behind the end of every
/// backup (rules.md 10), then the backup set. First of all the log that the slots hold is stored,
/// for the checkpoint that begins a backup may cost a slot that holds much. While it copies, the
/// log of each member that answers is stored, whatever becomes of the others. Log backups and marks
/// of other processes go on meanwhile (rules.md 31).
BackupOutcome back_up_group(const Context& context, const BackupOptions& options);

} // namespace tidemark::job
