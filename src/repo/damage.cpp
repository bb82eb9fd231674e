#include "repo/damage.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

base::Error damaged(std::string_view key, std::string_view what)
{
    return Error{Code::not_restorable,
                 fmt::format("object {} is damaged: {}", key, what),
                 {.hint = "run `tidemark verify` to see which marks and backups this costs"}};
}

base::Error missing(std::string_view key)
{
    return Error{Code::not_restorable,
                 fmt::format("object {} is missing", key),
                 {.hint = "run `tidemark verify` to see which marks and backups this costs"}};
}

base::Error too_new(std::string_view what, unsigned major)
{
    return Error{
        Code::repository_newer,
        fmt::format("{} has format version {}, which this program does not know", what, major),
        {.hint = "install a newer Tidemark; every version reads all older formats"}};
}

} // namespace tidemark::repo
