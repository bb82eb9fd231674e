#include "model/ids.h"

#include "base/error.h"
#include "base/log.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::model {
namespace {

constexpr std::size_t kMaxName = 63;

bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_mark_char(char c)
{
    return c > ' ' && c <= '~' && c != '\'' && c != '"' && c != '`' && c != '\\';
}

bool can_name_restore_points(std::string_view name)
{
    return !name.empty() && name.size() <= kMaxRestorePointName &&
           std::ranges::all_of(name, is_mark_char);
}

} // namespace

bool is_valid_name(std::string_view name)
{
    return !name.empty() && name.size() <= kMaxName && is_name_start(name.front()) &&
           std::ranges::all_of(name,
                               [](char c) { return is_name_start(c) || c == '_' || c == '-'; });
}

std::string checked_name(std::string_view what, std::string_view name)
{
    if (is_valid_name(name)) return std::string(name);
    throw base::Error{
        base::Code::usage,
        fmt::format("\"{}\" is not a name for a {}", base::escape_controls(name), what),
        {.hint = "a name has 1 to 63 characters a-z, 0-9, '_' and '-', and begins with a letter or "
                 "a digit"}};
}

/// A "-" in front would be taken for an option wherever the name is given.
bool is_valid_mark_name(std::string_view name)
{
    return can_name_restore_points(name) && !name.starts_with('-');
}

std::string checked_mark_name(std::string_view name)
{
    if (is_valid_mark_name(name)) return std::string(name);
    throw base::Error{
        base::Code::usage,
        fmt::format("\"{}\" is not a name for a mark", base::escape_controls(name)),
        {.hint = fmt::format("a mark's name has 1 to {} printable ASCII characters, "
                             "no blanks, quotes or backslashes, and does not begin with '-'",
                             kMaxRestorePointName)}};
}

std::string restore_point_name(std::string_view prefix, std::string_view mark,
                               std::string_view unique)
{
    std::string name = fmt::format("{}{}.{}", prefix, mark, unique);
    if (can_name_restore_points(name)) return name;
    throw base::Error{
        base::Code::usage,
        fmt::format("the restore point of mark \"{}\" would be named \"{}\", which is not possible",
                    base::escape_controls(mark), base::escape_controls(name)),
        {.hint = fmt::format("choose a name of at most {} printable ASCII characters",
                             kMaxRestorePointName - std::min(kMaxRestorePointName - 1,
                                                             prefix.size() + unique.size() + 1))}};
}

} // namespace tidemark::model
