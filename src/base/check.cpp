#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tidemark::base {

void check_failed(const char* expression, std::source_location where)
{
    std::fprintf(stderr, "tidemark: internal error at %s:%u (%s): CHECK(%s) does not hold\n",
                 where.file_name(), static_cast<unsigned>(where.line()), where.function_name(),
                 expression);
    std::abort();
}

} // namespace tidemark::base
