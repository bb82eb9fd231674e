#include "model/gid_preset.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>

namespace tidemark::model {

namespace {

/// 64 bytes, the most that an XA id's parts may have.
constexpr std::size_t kMaxXaPart = std::size_t{64 + 2} / 3 * 4;

/// A number as a program prints it: no "+", no leading zeros, no "-0", and it fits.
template <typename Integer> bool is_canonical(std::string_view text)
{
    Integer value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() &&
           std::to_string(value) == text;
}

int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

/// Base64 as an encoder writes it: padded, and the bits that no byte needs are zero. Otherwise one
/// id would have several names.
bool is_canonical_base64(std::string_view text)
{
    if (text.size() > kMaxXaPart || text.size() % 4 != 0) return false;
    std::size_t padding = 0;
    while (padding < 2 && text.ends_with('=')) {
        text.remove_suffix(1);
        ++padding;
    }
    if (!std::all_of(text.begin(), text.end(), [](char c) { return sextet(c) >= 0; })) return false;
    if (padding == 0) return true;
    return (sextet(text.back()) & (padding == 1 ? 0x03 : 0x0F)) == 0;
}

/// "FORMAT_GTRID_BQUAL" -> "FORMAT_GTRID". The underscore is no digit of base64.
std::optional<std::string> xa_global_id(std::string_view gid)
{
    auto first = gid.find('_');
    if (first == std::string_view::npos || first == 0) return std::nullopt;
    auto second = gid.find('_', first + 1);
    if (second == std::string_view::npos || second == first + 1) return std::nullopt;
    if (!is_canonical<std::int32_t>(gid.substr(0, first)) ||
        !is_canonical_base64(gid.substr(first + 1, second - first - 1)) ||
        !is_canonical_base64(gid.substr(second + 1)))
        return std::nullopt;
    return std::string(gid.substr(0, second));
}

struct Preset {
    std::string_view name;
    GidRule rule;
};
constexpr Preset kPresets[] = {
    {"psycopg", psycopg_global_id}, {"pgjdbc", pgjdbc_global_id}, {"citus", citus_global_id}};

} // namespace

std::optional<std::string> psycopg_global_id(std::string_view gid)
{
    if (gid.starts_with('-')) return std::nullopt;
    return xa_global_id(gid);
}

std::optional<std::string> pgjdbc_global_id(std::string_view gid)
{
    return xa_global_id(gid);
}

std::optional<std::string> citus_global_id(std::string_view gid)
{
    constexpr std::string_view kPrefix = "citus_";
    if (!gid.starts_with(kPrefix)) return std::nullopt;
    auto rest = gid.substr(kPrefix.size());
    std::size_t fields = 0;
    while (true) {
        auto field = rest.substr(0, rest.find('_'));
        bool fits =
            fields == 2 ? is_canonical<std::uint64_t>(field) : is_canonical<std::uint32_t>(field);
        if (!fits || ++fields > 4) return std::nullopt;
        if (field.size() == rest.size()) break;
        rest.remove_prefix(field.size() + 1);
    }
    if (fields != 4) return std::nullopt;
    return std::string(gid.substr(0, gid.rfind('_')));
}

GidRule gid_preset(std::string_view name)
{
    for (const auto& preset : kPresets)
        if (preset.name == name) return preset.rule;
    return nullptr;
}

std::vector<std::string_view> gid_preset_names()
{
    std::vector<std::string_view> names;
    for (const auto& preset : kPresets)
        names.push_back(preset.name);
    return names;
}

} // namespace tidemark::model
