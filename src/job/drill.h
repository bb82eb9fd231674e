#pragma once

#include "job/assertions.h"
#include "job/context.h"
#include "job/restore.h"
#include "repo/drills.h"

#include <filesystem>
#include <optional>
#include <vector>

namespace tidemark::job {

struct DrillOptions {
    /// User, programs, libraries and decisions; where to is the drill's own affair.
    RestoreOptions restore = {};
    std::filesystem::path parent = {}; ///< the scratch folder is made in here
    std::vector<Assertion> assertions = {};
    bool keep = false; ///< leave the scratch folder, servers stopped
};

struct DrillOutcome {
    model::Drill report;
    /// Its number in the repository; absent when it could not be written there.
    std::optional<model::Number> number;
    std::optional<std::filesystem::path> kept;
};

/// A practice restore (docs/guide/drill.md): brings the group up in a scratch folder as a restore
/// would, up to open and settled servers on private sockets; reads everything with the database's
/// own checker; asks the assertions; stops the servers; checks every page; takes everything down,
/// also after a failure or a stop; and stores the report.
///
/// What is wrong with the backup is in the report. What keeps the drill from being made (no space,
/// no programs, a stop, an unreachable repository) is an Error, and nothing is stored.
DrillOutcome drill_group(const Context& context, const repo::RestorePlan& plan,
                         const DrillOptions& options);

/// Stores what a restore that was handed over proves; absent when it proves nothing.
std::optional<model::Number> record_restore(const Context& context, const repo::RestorePlan& plan,
                                            const RestoreReport& report);

} // namespace tidemark::job
