#pragma once

#include "app/cli/environment.h"
#include "job/restore.h"
#include "repo/restore_plan.h"

namespace tidemark::app {

/// What the command line says about restoring: user, programs, decisions, places.
job::RestoreOptions restore_setup(Environment& environment);
/// The plan for --to: the newest restorable mark for "latest". Error{point_not_reachable,
/// not_restorable}. Of `members` only, when there are any.
repo::RestorePlan planned_restore(Environment& environment, const repo::RepositoryView& view,
                                  const std::vector<std::string>& members = {});
/// A sentence for each mark that --to (latest, or a time) might have meant and that is damaged or
/// lost, so that the older mark `taken` is.
std::vector<std::string> passed_over(Environment& environment, const repo::RepositoryView& view,
                                     model::Number taken);
/// --plan: writes nothing. Returns the exit code.
int show_restore_plan(Environment& environment, const repo::RestorePlan& plan,
                      const job::RestoreOptions& options);
/// The report shall lie beside the members before any of them is opened.
void keep_report_beside(job::RestoreOptions& options);
/// Completes that report, prints it, repeats its warnings.
void finish_restore(Environment& environment, const job::RestoreOptions& options,
                    job::RestoreReport& report);
/// Records that the restore proved its mark, if it did.
void prove(Environment& environment, const repo::RestorePlan& plan,
           const job::RestoreReport& report);

/// `restore --only`, `--open`, `--forget`: over several hosts.
int run_joint_restore(Environment& environment);
/// `list restores`
void list_restores(Environment& environment);

} // namespace tidemark::app
