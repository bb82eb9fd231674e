#include "engine/postgres/slot.h"

#include "engine/postgres/checks.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

constexpr const char* kGapHint =
    "run tidemark backup: it makes the slot again and starts a new, gap-free chain of log";

// Fields that only some versions have (invalidation_reason: 17) are looked up by name in JSON.
constexpr const char* kReadSlot = R"sql(
SELECT s.slot_type, s.active, s.wal_status, s.restart_lsn, s.safe_wal_size,
       to_jsonb(s) ->> 'invalidation_reason',
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
                            THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
                            ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint
  FROM pg_replication_slots s WHERE s.slot_name = $1)sql";

// Holds whether the slot exists or not: init asks before it makes one.
constexpr const char* kReadBound =
    "SELECT g.setting::bigint FROM pg_settings g WHERE g.name = 'max_slot_wal_keep_size'";

/// The server as it is configured has no slots at all: the settings that decide it, as checks do.
std::string slots_fix(Connection& sql)
{
    const Result row = sql.exec("SELECT pg_catalog.current_setting('wal_level'), "
                                "pg_catalog.current_setting('max_replication_slots')");
    if (row.get(0, 0) == "minimal") return set_and_restart("wal_level", "replica");
    if (row.get(0, 1) == "0") return set_and_restart("max_replication_slots", "10");
    return {}; // the general step: tidemark check
}

} // namespace

void require_slot_name(const std::string& name)
{
    const bool legal = !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!legal)
        throw Error{Code::usage,
                    fmt::format("'{}' is no name for a replication slot", name),
                    {.hint = "1 to 63 of the characters a-z, 0-9 and _"}};
}

SlotState read_slot(Connection& sql, const std::string& name)
{
    SlotState state;
    // Megabytes; -1 is "no bound" (guc_tables.c).
    const Result limit = sql.exec(kReadBound);
    if (const std::int64_t bound = limit.rows() == 0 ? -1 : limit.integer(0, 0).value_or(-1);
        bound >= 0)
        state.bound_bytes = static_cast<std::uint64_t>(bound) << 20;
    const Result row = sql.exec_params(kReadSlot, {name});
    if (row.rows() == 0) return state;
    if (row.get(0, 0) != "physical")
        throw Error{
            Code::member_not_ready,
            fmt::format("the replication slot {} of {} is a logical one", name, sql.description()),
            {.hint = "it belongs to somebody else; give the member another slot name"}};
    state.exists = true;
    state.active = row.boolean(0, 1).value_or(false);
    state.wal_status = row.text(0, 2).value_or("");
    state.restart = row.lsn(0, 3);
    state.safe_bytes = row.integer(0, 4);
    state.lost = state.wal_status == "lost" || !row.is_null(0, 5);
    state.held_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(row.integer(0, 6).value_or(0), 0));
    return state;
}

model::Offset create_slot(Connection& sql, const std::string& name)
{
    require_slot_name(name);
    try {
        const Result row = sql.exec_params(
            "SELECT lsn FROM pg_create_physical_replication_slot($1, true)", {name});
        const auto restart = row.lsn(0, 0);
        if (!restart)
            throw Error{Code::failed,
                        fmt::format("{} reserved no log for the slot {}", sql.description(), name)};
        return *restart;
    } catch (const SqlError& error) {
        if (error.sqlstate() == "42710")
            throw Error{Code::member_not_ready,
                        fmt::format("the replication slot {} exists already at {}", name,
                                    sql.description()),
                        {.hint = "when no other group uses it: SELECT pg_drop_replication_slot('" +
                                 name + "');"}};
        if (error.sqlstate() == "53400")
            throw Error{Code::member_not_ready,
                        fmt::format("no replication slot is free at {}", sql.description()),
                        {.hint = "raise max_replication_slots and restart the server, or drop a "
                                 "slot that nobody needs"}};
        if (error.sqlstate() == "55000")
            throw Error{Code::member_not_ready, error.message(), {.hint = slots_fix(sql)}};
        throw;
    }
}

void drop_slot(Connection& sql, const std::string& name)
{
    try {
        sql.exec_params("SELECT pg_drop_replication_slot($1)", {name});
    } catch (const SqlError& error) {
        if (error.sqlstate() == "42704") return;
        if (error.sqlstate() == "55006")
            throw Error{
                Code::member_not_ready,
                error.message(),
                {.hint = "another tidemark streams from it; stop it first", .transient = true}};
        throw;
    }
}

std::vector<OwnSlot> read_own_slots(Connection& sql)
{
    const Result rows = sql.exec(R"sql(
SELECT s.slot_name, s.active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
                            THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
                            ELSE pg_current_wal_lsn() END, s.restart_lsn)::bigint
  FROM pg_replication_slots s
 WHERE s.slot_type = 'physical' AND left(s.slot_name, 9) = 'tidemark_'
 ORDER BY 1)sql");
    std::vector<OwnSlot> out;
    for (int i = 0; i < rows.rows(); ++i)
        out.push_back({.name = rows.text(i, 0).value_or(""),
                       .active = rows.boolean(i, 1).value_or(false),
                       .held_bytes = static_cast<std::uint64_t>(
                           std::max<std::int64_t>(rows.integer(i, 2).value_or(0), 0))});
    return out;
}

void require_usable_slot(const SlotState& state, const std::string& name)
{
    if (!state.exists)
        throw Error{Code::log_gap,
                    fmt::format("the replication slot {} does not exist", name),
                    {.hint = kGapHint}};
    if (state.lost || !state.restart)
        throw Error{
            Code::log_gap,
            fmt::format("the server has invalidated the replication slot {} and recycled "
                        "log that was not stored yet",
                        name),
            {.hint = std::string(kGapHint) + "; raise max_slot_wal_keep_size if it happens again"}};
}

} // namespace tidemark::engine::postgres
