#pragma once

#include <cstdlib>
#include <linux/capability.h>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

namespace tidemark::base {

/// Must a test be able to mount a file system here? Where it need not it is skipped, which a
/// summary of a suite does not show: so with CI=true a root that has the right has to succeed.
inline bool mounting_is_expected()
{
    const char* ci = std::getenv("CI");
    return ::geteuid() == 0 && ci != nullptr && std::string_view(ci) == "true" &&
           ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
}

inline constexpr const char* kNoMount = "a file system cannot be mounted here (CAP_SYS_ADMIN)";

} // namespace tidemark::base
