#pragma once

#include <sys/types.h>
#include <vector>

namespace tidemark::app {

/// Processes whose parent is `parent`, as /proc tells at this moment.
std::vector<pid_t> children_of(pid_t parent);

/// SIGKILL to `parent` and all its children at once: the parent is stopped first, so that it cannot
/// fork meanwhile. Returns when no child is left; reaping `parent` is the caller's.
void kill_with_children(pid_t parent);

} // namespace tidemark::app
