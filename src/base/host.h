#pragma once

#include <string>
#include <string_view>

namespace tidemark::base {

/// As the system calls itself; "unknown" when it does not say.
std::string host_name();

/// Is this very host meant, as far as the name tells? `host` as libpq takes it: a name, an address
/// without brackets, a socket's folder or its abstract name (@...), or empty. Nothing is looked up:
/// another name of this host is not known.
bool names_this_host(std::string_view host);

} // namespace tidemark::base
