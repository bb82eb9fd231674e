#pragma once

#include <cstdlib>
#include <string_view>

namespace tidemark::base {

/// A test that lacks something of its machine is skipped, which a summary of a suite does not show:
/// so with CI=true it must not lack anything.
inline bool nothing_may_be_skipped()
{
    const char* ci = std::getenv("CI");
    return ci != nullptr && std::string_view(ci) == "true";
}

} // namespace tidemark::base
