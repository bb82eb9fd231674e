#include "engine/postgres/slot_bound.h"

#include "base/clock.h"
#include "base/host.h"

#include <fmt/format.h>

#include <algorithm>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace tidemark::engine::postgres {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

std::uint64_t rounded(std::uint64_t bytes)
{
    return bytes >= kGiB ? bytes / kGiB * kGiB : std::max(bytes / kMiB, std::uint64_t{1}) * kMiB;
}

/// Of pg_wal, or of the folder it is in where we may not look inside.
std::optional<dev_t> device_of_log(const std::filesystem::path& data_dir)
{
    struct stat info = {};
    if (::stat((data_dir / "pg_wal").c_str(), &info) == 0) return info.st_dev;
    if (::stat(data_dir.c_str(), &info) == 0) return info.st_dev;
    return std::nullopt;
}

/// The first that the url names; empty for this host.
std::string host_of(const std::string& url)
{
    try {
        const auto name = split_servers(url).front().name;
        auto host = name.substr(0, name.rfind(':'));
        return base::names_this_host(host) ? "" : host;
    } catch (const base::Error&) {
        return "?"; // told where that member is looked at
    }
}

} // namespace

std::string SlotBound::statement() const
{
    const bool whole = bytes % kGiB == 0;
    return fmt::format("ALTER SYSTEM SET max_slot_wal_keep_size = '{}{}'; SELECT pg_reload_conf();",
                       whole ? bytes / kGiB : bytes / kMiB, whole ? "GB" : "MB");
}

SlotBound propose_slot_bound(std::optional<std::uint64_t> free_bytes, std::uint64_t wal_bytes,
                             std::size_t sharing)
{
    if (free_bytes) {
        // What pg_wal holds already is no longer free, but belongs to the bound.
        const std::uint64_t bytes = rounded(*free_bytes / 2 / sharing + wal_bytes);
        return {.bytes = bytes,
                .why = fmt::format("half of the {} free on the disk of pg_wal{}",
                                   base::format_size(*free_bytes),
                                   sharing > 1 ? fmt::format(", for {} members", sharing) : "")};
    }
    const std::uint64_t bytes = rounded(std::max(wal_bytes * 4, 4 * kGiB));
    return {.bytes = bytes,
            .why = fmt::format("pg_wal holds {} now; compare with the free disk of the server, "
                               "which cannot be seen from here",
                               base::format_size(wal_bytes))};
}

std::optional<std::uint64_t> free_beside_log(const MemberConfig& member)
{
    if (!member.data_dir) return std::nullopt;
    struct statvfs info = {};
    if (::statvfs((*member.data_dir / "pg_wal").c_str(), &info) != 0) return std::nullopt;
    return std::uint64_t{info.f_bavail} * info.f_frsize;
}

std::size_t members_on_disk(const MemberConfig& member)
{
    const auto ours = member.data_dir ? device_of_log(*member.data_dir) : std::nullopt;
    const auto host = ours ? "" : host_of(member.url); // files that we see are here
    std::size_t count = 1;
    for (const Neighbour& other : member.neighbours) {
        const auto theirs = other.data_dir ? device_of_log(*other.data_dir) : std::nullopt;
        const auto at = host_of(other.url);
        const bool shares =
            ours && theirs ? *ours == *theirs : at == host || at == host_of(member.url);
        if (shares) ++count;
    }
    return count;
}

SlotBound propose_slot_bound(Connection& sql, const MemberConfig& member)
{
    std::uint64_t wal_bytes = 0;
    try {
        const Result row = sql.exec("SELECT sum(size)::bigint FROM pg_ls_waldir()");
        wal_bytes =
            static_cast<std::uint64_t>(std::max<std::int64_t>(row.integer(0, 0).value_or(0), 0));
    } catch (const SqlError& error) {
        if (error.sqlstate() != "42501") throw; // without pg_monitor: unknown
    }
    return propose_slot_bound(free_beside_log(member), wal_bytes, members_on_disk(member));
}

} // namespace tidemark::engine::postgres
