#include "engine/postgres/slot_bound.h"

#include "base/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <sys/statvfs.h>

namespace tidemark::engine::postgres {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

std::uint64_t rounded(std::uint64_t bytes)
{
    return bytes >= kGiB ? bytes / kGiB * kGiB : std::max(bytes / kMiB, std::uint64_t{1}) * kMiB;
}

} // namespace

std::string SlotBound::statement() const
{
    const bool whole = bytes % kGiB == 0;
    return fmt::format("ALTER SYSTEM SET max_slot_wal_keep_size = '{}{}'; SELECT pg_reload_conf();",
                       whole ? bytes / kGiB : bytes / kMiB, whole ? "GB" : "MB");
}

SlotBound propose_slot_bound(std::optional<std::uint64_t> free_bytes, std::uint64_t wal_bytes)
{
    if (free_bytes) {
        // What pg_wal holds already is no longer free, but belongs to the bound.
        const std::uint64_t bytes = rounded(*free_bytes / 2 + wal_bytes);
        return {.bytes = bytes,
                .why = fmt::format("half of the {} free on the disk of pg_wal",
                                   base::format_size(*free_bytes))};
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
    return propose_slot_bound(free_beside_log(member), wal_bytes);
}

} // namespace tidemark::engine::postgres
