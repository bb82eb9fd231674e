#pragma once

#include "app/cli/environment.h"

#include <map>
#include <string>
#include <vector>

namespace tidemark::app {

/// Runs a configured program (an argument array, no shell) with `environment` on top of the
/// basic one (no secret of ours) and waits for it, a minute at most. Its failure is returned as one
/// line, empty when all went well: a hook must not change how the job itself ended.
std::string run_hook(const std::vector<std::string>& argv,
                     const std::map<std::string, std::string>& environment);

/// The file that run_hook() would run for this program, or Error: it is not there, or no program
/// that we may run.
std::string find_hook(const std::string& program);

/// Whoever is configured as `on_failure` hears of a job that did not end well. That another one was
/// at work and that somebody stopped it are no failures; nor does a hook's own trouble become one.
void tell_of_failure(Environment& environment, int code, const std::string& message);

/// Empty when there was none.
std::string first_warning(Environment& environment);

} // namespace tidemark::app
