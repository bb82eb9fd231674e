#include "engine/postgres/backup_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tidemark::engine::postgres {

namespace {

bool is_digits(std::string_view text)
{
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view take_digits(std::string_view& text)
{
    auto count = static_cast<std::size_t>(
        std::find_if(text.begin(), text.end(), [](char c) { return c < '0' || c > '9'; }) -
        text.begin());
    auto digits = text.substr(0, count);
    text.remove_prefix(count);
    return digits;
}

std::string_view last_part(std::string_view path)
{
    auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

} // namespace

std::optional<RelationFile> parse_relation_file(std::string_view name)
{
    RelationFile file;
    file.number = take_digits(name);
    if (file.number.empty() || file.number.size() > 10) return std::nullopt;
    if (name.starts_with("_fsm")) {
        file.fork = Fork::fsm;
        name.remove_prefix(4);
    } else if (name.starts_with("_vm")) {
        file.fork = Fork::vm;
        name.remove_prefix(3);
    } else if (name.starts_with("_init")) {
        file.fork = Fork::init;
        name.remove_prefix(5);
    }
    if (name.starts_with('.')) {
        name.remove_prefix(1);
        auto digits = take_digits(name);
        auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), file.segment);
        if (digits.empty() || error != std::errc{}) return std::nullopt;
    }
    if (!name.empty()) return std::nullopt;
    return file;
}

bool is_temporary_relation(std::string_view name)
{
    if (!name.starts_with('t')) return false;
    name.remove_prefix(1);
    if (take_digits(name).empty() || !name.starts_with('_')) return false;
    name.remove_prefix(1);
    return parse_relation_file(name).has_value();
}

bool is_excluded_file(std::string_view name)
{
    constexpr std::array<std::string_view, 7> kExact = {
        "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label",   "tablespace_map",
        "backup_manifest",          "postmaster.pid",       "postmaster.opts"};
    return std::find(kExact.begin(), kExact.end(), name) != kExact.end() ||
           name.starts_with("pg_internal.init") || name.starts_with("pgsql_tmp");
}

bool is_emptied_directory(std::string_view name)
{
    constexpr std::array<std::string_view, 7> kNames = {
        "pg_stat_tmp", "pg_replslot",  "pg_dynshmem", "pg_notify",
        "pg_serial",   "pg_snapshots", "pg_subtrans"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

bool holds_relations(std::string_view directory)
{
    if (directory == "global") return true;
    if (!is_digits(last_part(directory))) return false;
    auto parent = directory.substr(0, directory.size() - last_part(directory).size());
    if (parent == "base/") return true;
    return parent.starts_with("pg_tblspc/") && parent.find("/PG_") != std::string_view::npos;
}

bool has_page_checksums(std::string_view path)
{
    auto name = last_part(path);
    if (name.size() == path.size()) return false;
    return holds_relations(path.substr(0, path.size() - name.size() - 1)) &&
           parse_relation_file(name).has_value();
}

bool is_left_out(std::string_view name, const std::set<std::string, std::less<>>& init_numbers)
{
    if (is_temporary_relation(name)) return true;
    auto file = parse_relation_file(name);
    return file && file->fork != Fork::init && init_numbers.contains(file->number);
}

std::optional<std::uint32_t> parse_twophase_name(std::string_view name)
{
    if (name.size() != 8 && name.size() != 16) return std::nullopt;
    auto digits = name.substr(name.size() - 8);
    std::uint32_t xid = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), xid, 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return xid;
}

} // namespace tidemark::engine::postgres
