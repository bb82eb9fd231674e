#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::model {

/// A member is named inside its group.
struct MemberId {
    std::string group;
    std::string member;
    friend bool operator==(const MemberId&, const MemberId&) = default;
    friend auto operator<=>(const MemberId&, const MemberId&) = default;
};

/// Backups, marks, sets, leases and so on are numbered; ten digits, so that keys sort by number.
using Number = std::uint64_t;
inline constexpr Number kMaxNumber = 9'999'999'999;

/// PostgreSQL cuts a restore point's name at 63 bytes; recovery stops at the first equal name, so
/// names are checked, never cut (rules.md 9).
inline constexpr std::size_t kMaxRestorePointName = 63;

/// Names of groups and members become object names and file names: [a-z0-9][a-z0-9_-]{0,62}.
bool is_valid_name(std::string_view name);
/// Returns `name`; throws Error{usage} that says which `what` ("group", "member") is wrong and what
/// is allowed.
std::string checked_name(std::string_view what, std::string_view name);

/// What a person may call a mark: printable ASCII without blanks, quotes and backslashes, 1 to
/// kMaxRestorePointName bytes.
bool is_valid_mark_name(std::string_view name);
/// Returns `name`; throws Error{usage}.
std::string checked_mark_name(std::string_view name);

/// "<prefix><mark>.<unique>": the name that the restore points of one mark carry. `unique` keeps a
/// second try with the same name apart. Throws Error{usage} when the whole is not a valid mark
/// name, too long for instance.
std::string restore_point_name(std::string_view prefix, std::string_view mark,
                               std::string_view unique);

} // namespace tidemark::model
