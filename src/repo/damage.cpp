#include "repo/damage.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

std::string said_of(std::string_view key, std::string_view what)
{
    constexpr std::string_view kObject = "object ";
    if (what.starts_with(kObject) && what.substr(kObject.size()).starts_with(key))
        what.remove_prefix(kObject.size());
    if (!what.starts_with(key)) return std::string(what);
    what.remove_prefix(key.size());
    for (std::string_view joint : {": ", " "}) {
        if (!what.starts_with(joint)) continue;
        what.remove_prefix(joint.size());
        break;
    }
    if (what.starts_with("is damaged: ")) what.remove_prefix(3);
    return std::string(what);
}

base::Error damaged(std::string_view key, std::string_view what)
{
    auto said = said_of(key, what);
    if (said.starts_with("damaged: ")) said.erase(0, 9);
    return Error{Code::not_restorable,
                 fmt::format("object {} is damaged: {}", key, said),
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
