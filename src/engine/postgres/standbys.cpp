#include "engine/postgres/standbys.h"

#include "base/task_group.h"
#include "engine/postgres/slot.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

using base::Error;

/// Nobody waits long for a standby.
constexpr std::chrono::seconds kPatience{5};

constexpr const char* kStandbyQuery = R"sql(
SELECT system_identifier::text, pg_is_in_recovery(), pg_last_wal_replay_lsn(),
       CASE WHEN pg_is_in_recovery() THEN NULL
            ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
  FROM pg_control_system())sql";

/// A slot of a standby begins at its last restartpoint and cannot pass what it has replayed.
void keep_log(Connection& sql, const StandbyCare& care, Standby& out)
{
    if (out.slot.lost) {
        drop_slot(sql, care.slot);
        out.slot.exists = false;
    }
    if (!out.slot.exists) {
        if (care.bounded && !out.slot.bound_bytes) {
            out.problem = "max_slot_wal_keep_size is -1 there, so no slot is made on it: log would "
                          "be missing after a failover to it";
            out.fix = "set max_slot_wal_keep_size on the standby";
            return;
        }
        create_slot(sql, care.slot);
        out.slot_made = true;
        out.slot = read_slot(sql, care.slot);
    }
    const model::Offset to = std::min(care.order.durable, out.replayed.value_or(0));
    if (!out.slot.restart || to <= *out.slot.restart) return;
    sql.exec_params("SELECT pg_replication_slot_advance($1, $2::pg_lsn)",
                    {care.slot, model::format_offset(to)});
    out.slot = read_slot(sql, care.slot);
}

void visit(const ServerUrl& server, const StandbyCare& care, const std::stop_token& stop,
           Standby& out)
{
    Connection sql = Connection::open(server.conninfo, {.timeout = kPatience, .stop = stop});
    sql.set_deadline(std::chrono::steady_clock::now() + kPatience);
    const Result row = sql.exec(kStandbyQuery);
    out.reachable = true;
    if (row.get(0, 0) != care.system_id) {
        out.problem = fmt::format("it is another cluster (system identifier {})", row.get(0, 0));
        out.fix = "let the member's url name one primary and its standbys";
        return;
    }
    out.accepts_writes = !row.boolean(0, 1).value_or(true);
    out.replayed = row.lsn(0, 2);
    const std::string_view hex = row.get(0, 3);
    std::from_chars(hex.data(), hex.data() + hex.size(), out.epoch, 16);
    if (out.accepts_writes) {
        out.problem = fmt::format("it accepts writes, too, on timeline {}: an old primary that "
                                  "came back? What is written there is not backed up",
                                  out.epoch);
        out.fix = "stop it, or make it a standby again (pg_rewind)";
    }
    out.slot = read_slot(sql, care.slot);
    if (care.order.what == StandbyOrder::What::drop_slot) {
        drop_slot(sql, care.slot);
        out.slot = read_slot(sql, care.slot);
    } else if (care.order.what == StandbyOrder::What::keep_log && !out.accepts_writes) {
        keep_log(sql, care, out);
    }
}

} // namespace

std::vector<Standby> care_for_standbys(const StandbyCare& care)
{
    std::vector<Standby> out(care.servers.size());
    base::TaskGroup group;
    for (std::size_t i = 0; i < out.size(); ++i) {
        group.add([&, i](const std::stop_token& stop) {
            out[i].where = care.servers[i].name;
            try {
                visit(care.servers[i], care, stop, out[i]);
            } catch (const Error& error) {
                out[i].problem = error.message();
                out[i].fix = error.hint();
            }
        });
    }
    group.wait();
    return out;
}

} // namespace tidemark::engine::postgres
