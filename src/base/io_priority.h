#pragma once

namespace tidemark::base {

/// Everything that this thread reads or writes from now on comes after what others want from the
/// disk: the lowest best-effort I/O priority (ioprio_set(2)). Idle priority would never end on a
/// busy disk. Where the kernel or its scheduler knows no priorities nothing changes.
void lower_io_priority() noexcept;

/// What the thread has: "be/7", or "none" when it never asked. For tests.
const char* io_priority() noexcept;

} // namespace tidemark::base
