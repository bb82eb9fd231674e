#include "engine/postgres/recovery_data.h"

#include "base/error.h"
#include "engine/postgres/hand_over.h"

#include <fmt/format.h>
#include <string>

namespace tidemark::engine::postgres {

RestoreMemory memory_of(const RecoverySpec& spec, const ControlFile& control)
{
    RestoreMemory memory;
    memory.goal = spec.goal;
    memory.restore_command = spec.restore_command;
    memory.superuser = spec.superuser.empty() ? "postgres" : spec.superuser;
    memory.collations = spec.collation_versions;
    memory.limits = spec.limits;
    memory.creates_tablespaces = !spec.created_tablespaces.empty();
    raise_limits(memory.limits, control);
    return memory;
}

bool raise_limits(std::map<std::string, std::string>& limits, const ControlFile& control)
{
    const auto before = limits;
    auto at_least = [&](const std::string& name, std::uint32_t value) {
        limits[name] = larger_limit(limits[name], std::to_string(value));
    };
    at_least("max_connections", control.max_connections);
    at_least("max_prepared_transactions", control.max_prepared_transactions);
    at_least("max_worker_processes", control.max_worker_processes);
    at_least("max_locks_per_transaction", control.max_locks_per_transaction);
    return limits != before;
}

void clear_leftovers(const TargetFolder& data, const RecoverySpec& spec)
{
    for (const char* name : {"postmaster.pid", "postmaster.opts", "standby.signal",
                             "backup_label.old", "tablespace_map.old", "recovery.done"}) {
        data.remove(name);
    }
    for (const char* name : {"pg_wal", "pg_replslot", "pg_stat_tmp", "pg_dynshmem", "pg_notify",
                             "pg_serial", "pg_snapshots", "pg_subtrans"}) {
        data.empty(name);
    }
    // The server makes the links anew, from tablespace_map: never to the original places.
    data.remove_links("pg_tblspc");
    adopt_configuration(data);
    data.set_aside("postgresql.auto.conf");
    data.write("recovery.signal", "");
    if (spec.tablespace_map.empty()) {
        data.remove("tablespace_map");
    } else {
        data.write("tablespace_map", spec.tablespace_map);
    }
    data.write("backup_label", spec.backup_label);
}

bool same_goal(const RecoveryGoal& a, const RecoveryGoal& b)
{
    return a.position == b.position && a.time == b.time && a.name == b.name && a.epoch == b.epoch;
}

bool is_promoted(const ControlFile& control, const RecoveryGoal& goal)
{
    return control.checkpoint.epoch > goal.epoch || (control.state == ClusterState::in_production &&
                                                     control.min_recovery.epoch > goal.epoch);
}

model::LogPosition branch_point(const TargetFolder& data, const RecoveryGoal& goal,
                                model::Epoch epoch)
{
    auto name = fmt::format("pg_wal/{:08X}.history", epoch);
    auto text = data.read(name);
    if (!text) return {epoch, 0};
    auto history = model::parse_history(epoch, *text);
    if (history.ancestors().empty()) return {epoch, 0};
    auto last = history.ancestors().back();
    if (goal.position && last.left_at > *goal.position) {
        throw base::Error{base::Code::point_not_reachable,
                          fmt::format("the server branched off at {}, past the goal {}",
                                      model::format_offset(last.left_at),
                                      model::format_offset(*goal.position)),
                          {.hint = "discard this restore and report a bug"}};
    }
    return {epoch, last.left_at};
}

} // namespace tidemark::engine::postgres
