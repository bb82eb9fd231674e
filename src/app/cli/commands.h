#pragma once

#include "app/cli/environment.h"
#include "model/manifest.h"

#include <string>
#include <vector>

namespace tidemark::app {

/// Each returns the exit code and fills the environment's output; failures are base::Error.
int run_init(Environment& environment);
int run_check(Environment& environment);
int run_run(Environment& environment);
int run_backup(Environment& environment);
int run_log(Environment& environment);
int run_mark(Environment& environment);
int run_reindex(Environment& environment);
int run_list(Environment& environment);
int run_show(Environment& environment);
int run_status(Environment& environment);
int run_audit(Environment& environment);
int run_verify(Environment& environment);
int run_restore(Environment& environment);
int run_drill(Environment& environment);
int run_sheet(Environment& environment);
int run_demo(Environment& environment);
int run_expire(Environment& environment);
int run_hold(Environment& environment);
int run_release(Environment& environment);
int run_add_member(Environment& environment);
int run_leave(Environment& environment);

/// Names of the slots that the groups of the configuration use; empty without a configuration.
std::vector<std::string> known_slots(Environment& environment);

/// For commands that talk to the members: Error{usage} where no configuration names them.
void require_configuration(Environment& environment);

/// One warning for each damaged page of a backup, as long as they are few.
void warn_of_damage(Environment& environment, const model::Manifest& manifest);

/// Objects that a listing leaves out, as warnings.
void warn_of_unreadable(Environment& environment, const repo::Unreadable& unreadable);

/// `list holds`
void list_holds(Environment& environment);

} // namespace tidemark::app
