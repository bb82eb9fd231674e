#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace tidemark::base {

/// What /proc/PID/stat tells of a process (proc(5): fields 3, 4 and 22).
struct ProcessState {
    char state = '?'; ///< R, S, D, T, Z, X, ...
    pid_t parent = 0;
    std::uint64_t start = 0; ///< clock ticks since boot; tells two processes of one number apart

    /// It is dead and waits for its parent to ask. Under a PID 1 that seldom asks (a container
    /// without an init) this lasts.
    bool ended() const { return state == 'Z' || state == 'X'; }
};

/// Nothing when there is no such process, when it is hidden, and where there is no /proc.
std::optional<ProcessState> process_state(pid_t pid);

/// Whether the process is at work. What cannot be told counts as yes.
bool process_runs(pid_t pid);

} // namespace tidemark::base
