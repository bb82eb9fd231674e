#pragma once

#include <cstdlib>
#include <string_view>
#include <unistd.h>

namespace tidemark::base {

/// Must a test be able to mount a file system here? Where it need not it is skipped, which a
/// summary of a suite does not show: so root on a machine that says CI=true has to have the right.
inline bool mounting_is_expected()
{
    const char* ci = std::getenv("CI");
    return ::geteuid() == 0 && ci != nullptr && std::string_view(ci) == "true";
}

inline constexpr const char* kNoMount = "a file system cannot be mounted here (CAP_SYS_ADMIN)";

} // namespace tidemark::base
