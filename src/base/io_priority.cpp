#include "base/io_priority.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace tidemark::base {

namespace {

// linux/ioprio.h, which not every libc's headers come with.
constexpr int kWhoProcess = 1; // and a thread is one
constexpr int kClassShift = 13;
constexpr int kBestEffort = 2;
constexpr int kLowest = 7;
constexpr int kWanted = kBestEffort << kClassShift | kLowest;

} // namespace

void lower_io_priority() noexcept
{
    ::syscall(SYS_ioprio_set, kWhoProcess, 0, kWanted);
}

const char* io_priority() noexcept
{
    return ::syscall(SYS_ioprio_get, kWhoProcess, 0) == kWanted ? "be/7" : "none";
}

} // namespace tidemark::base
