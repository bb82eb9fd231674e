#pragma once

#include "app/cli/environment.h"
#include "job/restore.h"
#include "repo/restore_plan.h"

namespace tidemark::app {

/// What the command line says about restoring: user, programs, decisions, places.
job::RestoreOptions restore_setup(Environment& environment);
/// The plan for --to: the newest restorable mark for "latest". Error{point_not_reachable,
/// not_restorable}.
repo::RestorePlan planned_restore(Environment& environment, const repo::RepositoryView& view);

} // namespace tidemark::app
