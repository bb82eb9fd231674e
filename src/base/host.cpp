#include "base/host.h"

#include <strings.h>
#include <unistd.h>

namespace tidemark::base {

std::string host_name()
{
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

bool names_this_host(std::string_view host)
{
    if (host.empty() || host.starts_with('/') || host.starts_with('@') || host == "::1")
        return true;
    // All of 127/8: distributions give the host's own name an address like 127.0.1.1.
    if (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos)
        return true;
    auto is = [name = std::string(host)](const std::string& ours) {
        return ::strcasecmp(name.c_str(), ours.c_str()) == 0;
    };
    return is("localhost") || is(host_name());
}

} // namespace tidemark::base
