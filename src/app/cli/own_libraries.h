#pragma once

#include <string>
#include <vector>

namespace tidemark::app {

/// What a copy of this program needs on another host besides what every host with PostgreSQL has.
struct OwnLibraries {
    std::vector<std::string> names;    ///< "libfmt.so.9": what the program is linked with
    std::vector<std::string> packages; ///< Debian's, "libfmt9"; empty where they cannot be told
};

/// Asks the dynamic linker, and dpkg where there is one (a tenth of a second).
OwnLibraries own_libraries();

/// Package names out of what `dpkg-query --search` prints ("libfmt9:amd64: /usr/lib/...").
std::vector<std::string> packages_of(const std::string& dpkg_answer);

} // namespace tidemark::app
