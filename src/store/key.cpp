#include "store/key.h"

#include "base/error.h"
#include "base/log.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::store {

namespace {

bool valid_character(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._=+@-").find(c) != std::string_view::npos;
}

bool valid_part(std::string_view part) noexcept
{
    return !part.empty() && part.size() <= kKeyPartLimit && part != "." && part != ".." &&
           std::all_of(part.begin(), part.end(), valid_character);
}

[[noreturn]] void refuse(std::string_view what, std::string_view text)
{
    throw base::Error{base::Code::usage,
                      fmt::format("\"{}\" is no valid {} of a repository object",
                                  base::escape_controls(text.substr(0, kKeyLimit)), what),
                      {.hint = "use letters, digits and . _ = + @ - only"}};
}

} // namespace

bool valid_key(std::string_view key) noexcept
{
    if (key.size() > kKeyLimit) return false;
    while (true) {
        auto slash = key.find('/');
        if (!valid_part(key.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        key.remove_prefix(slash + 1);
    }
}

bool valid_prefix(std::string_view prefix) noexcept
{
    if (prefix.empty() || prefix == "." || prefix == "..") return true;
    // The last part may be the beginning of a name: empty, "." or "..".
    auto slash = prefix.rfind('/');
    auto last = slash == std::string_view::npos ? prefix : prefix.substr(slash + 1);
    bool beginning = last.empty() || last == "." || last == ".." || valid_part(last);
    return beginning && prefix.size() <= kKeyLimit &&
           (slash == std::string_view::npos || valid_key(prefix.substr(0, slash)));
}

void require_key(std::string_view key)
{
    if (!valid_key(key)) refuse("name", key);
}

void require_prefix(std::string_view prefix)
{
    if (!valid_prefix(prefix)) refuse("prefix", prefix);
}

} // namespace tidemark::store
