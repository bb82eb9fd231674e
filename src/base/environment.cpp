#include "base/environment.h"

#include <cstdlib>

namespace tidemark::base {

std::map<std::string, std::string> basic_environment()
{
    std::map<std::string, std::string> out;
    for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL",
                             "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}) {
        if (const char* value = ::getenv(name)) out.emplace(name, value);
    }
    return out;
}

} // namespace tidemark::base
