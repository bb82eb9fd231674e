#include "engine/postgres/checks.h"

#include "base/fd.h"
#include "engine/postgres/check_entry.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/replication.h"
#include "engine/postgres/roles.h"
#include "engine/postgres/setting_checks.h"
#include "engine/postgres/slot.h"
#include "engine/postgres/slot_bound.h"
#include "engine/postgres/versions.h"
#include "model/orphan_age.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace tidemark::engine::postgres {

namespace {

using base::Error;

/// One server's facts, read once.
struct Facts {
    int version = 0;
    bool in_recovery = false;
    std::map<std::string, std::string> settings;
    std::int64_t slots_used = 0;
    std::int64_t senders_used = 0;

    std::int64_t number(const std::string& name) const
    {
        const auto it = settings.find(name);
        return it == settings.end() ? 0 : std::strtoll(it->second.c_str(), nullptr, 10);
    }
    std::string text(const std::string& name) const
    {
        const auto it = settings.find(name);
        return it == settings.end() ? std::string{} : it->second;
    }
};

Facts read_facts(Connection& sql)
{
    Facts facts;
    facts.version = sql.server_version();
    const Result settings = sql.exec(
        "SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'full_page_writes', "
        "'max_prepared_transactions', 'max_replication_slots', 'max_wal_senders', "
        "'max_slot_wal_keep_size', 'data_checksums', 'fsync', 'idle_replication_slot_timeout')");
    for (int i = 0; i < settings.rows(); ++i)
        facts.settings[std::string(settings.get(i, 0))] = std::string(settings.get(i, 1));
    const Result counts = sql.exec("SELECT pg_is_in_recovery(), "
                                   "(SELECT count(*) FROM pg_replication_slots), "
                                   "(SELECT count(*) FROM pg_stat_replication)");
    facts.in_recovery = counts.boolean(0, 0).value_or(false);
    facts.slots_used = counts.integer(0, 1).value_or(0);
    facts.senders_used = counts.integer(0, 2).value_or(0);
    return facts;
}

void check_server(const Facts& facts, std::vector<Check>& out)
{
    const int major = facts.version / 10000;
    out.push_back(major >= kOldestMajor && major <= kNewestMajor
                      ? ok("version", fmt::format("PostgreSQL {}.{}", major, facts.version % 10000))
                      : failed("version", fmt::format("PostgreSQL {} is not supported", major),
                               fmt::format("use PostgreSQL {} to {}", kOldestMajor, kNewestMajor)));
    out.push_back(ok("pooler", "the server itself answers"));
    out.push_back(facts.in_recovery
                      ? failed("primary", "the server is a standby: marks cannot be placed there",
                               "let the member's url name all its servers, "
                               "postgresql://a,b/...: whichever accepts writes is the member")
                      : ok("primary", "the server accepts writes"));
    const std::string level = facts.text("wal_level");
    out.push_back(level == "replica" || level == "logical"
                      ? ok("wal_level", level)
                      : failed("wal_level", fmt::format("wal_level is {}", level),
                               set_and_restart("wal_level", "replica")));
    const std::int64_t prepared = facts.number("max_prepared_transactions");
    out.push_back(prepared > 0 ? ok("max_prepared_transactions", std::to_string(prepared))
                               : failed("max_prepared_transactions",
                                        "0: the server takes part in no distributed transaction",
                                        set_and_restart("max_prepared_transactions", "100")));
    out.push_back(
        facts.text("full_page_writes") == "on"
            ? ok("full_page_writes", "on")
            : waiting("full_page_writes", "off: a crash of the server can tear pages",
                      "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"));
    out.push_back(facts.text("fsync") == "on"
                      ? ok("fsync", "on")
                      : waiting("fsync", "off: a crash of the host can corrupt the server",
                                "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"));
    out.push_back(facts.text("data_checksums") == "on"
                      ? ok("checksums", "data pages carry checksums")
                      : waiting("checksums",
                                "data pages carry no checksums: a bad disk goes "
                                "unnoticed into the backups",
                                "stop the server and run: pg_checksums --enable -D DATA_DIR"));
}

Check check_slot_state(const SlotState& slot, const std::string& name)
{
    if (!slot.exists)
        return failed("slot", fmt::format("the replication slot {} does not exist", name),
                      "tidemark init creates it; if it was there before, tidemark backup starts a "
                      "new chain of log");
    if (slot.lost)
        return failed("slot",
                      fmt::format("the server has invalidated the slot {}: log is missing", name),
                      "tidemark backup makes it again and starts a new chain of log; a larger "
                      "max_slot_wal_keep_size keeps it longer");
    if (slot.wal_status == "unreserved" || (slot.safe_bytes && *slot.safe_bytes <= 0))
        return failed("slot", fmt::format("the slot {} is about to be invalidated", name),
                      "run tidemark log now, and raise max_slot_wal_keep_size");
    return ok("slot", fmt::format("{} holds {} of log", name, base::format_size(slot.held_bytes)));
}

/// Whoever else reads from our slot moves it, and log is lost to us.
void check_consumer(Connection& sql, const std::string& name, std::vector<Check>& out)
{
    const Result row =
        sql.exec_params("SELECT s.active_pid, coalesce(a.application_name, ''), "
                        "coalesce(host(a.client_addr), 'this host') FROM pg_replication_slots s "
                        "LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid "
                        "WHERE s.slot_name = $1 AND s.active_pid IS NOT NULL",
                        {name});
    if (row.rows() == 0 || row.get(0, 1).starts_with("tidemark")) return;
    out.push_back(
        waiting("slot_consumer",
                fmt::format("'{}' from {} (pid {}) reads our slot {}: what it confirms is "
                            "lost to us",
                            row.get(0, 1), row.get(0, 2), row.get(0, 0), name),
                "give it a slot of its own (primary_slot_name, pg_receivewal --slot)"));
}

void check_slot(Connection& sql, const Facts& facts, const MemberConfig& member,
                std::vector<Check>& out)
{
    SlotState slot;
    try {
        require_slot_name(member.slot);
        slot = read_slot(sql, member.slot);
        out.push_back(check_slot_state(slot, member.slot));
        if (slot.active) check_consumer(sql, member.slot, out);
    } catch (const Error& error) {
        out.push_back(failed("slot", error.message(), error.hint()));
    }
    if (facts.number("max_slot_wal_keep_size") < 0) {
        const SlotBound bound = propose_slot_bound(sql, member);
        const std::string cause = "max_slot_wal_keep_size is -1: when log backups stop, the slot "
                                  "can fill the server's disk";
        const std::string fix = fmt::format("{} ({})", bound.statement(), bound.why);
        // An existing slot means that somebody wanted it so (init --unbounded).
        out.push_back(slot.exists ? waiting("slot_bound", cause, fix)
                                  : failed("slot_bound", cause, fix));
    } else {
        out.push_back(ok("slot_bound", fmt::format("the slot may hold {} MB",
                                                   facts.number("max_slot_wal_keep_size"))));
    }
    if (facts.version >= 180000) {
        out.push_back(facts.number("idle_replication_slot_timeout") == 0
                          ? ok("slot_idle_timeout", "an idle slot is kept")
                          : waiting("slot_idle_timeout",
                                    "idle_replication_slot_timeout is set: the server invalidates "
                                    "the slot when log backups pause that long",
                                    "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT "
                                    "pg_reload_conf();"));
    }
    const std::int64_t slots = facts.number("max_replication_slots");
    const std::string used = fmt::format("{} of {} in use", facts.slots_used, slots);
    out.push_back(
        slot.exists || facts.slots_used < slots
            ? ok("max_replication_slots", used)
            : failed("max_replication_slots", used + ": none is free for us",
                     set_and_restart("max_replication_slots", std::to_string(slots + 4))));
    const std::int64_t senders = facts.number("max_wal_senders");
    // One streams the log, one reads a base backup.
    const std::int64_t needed = slot.active ? 1 : 2;
    const std::string busy = fmt::format("{} of {} in use", facts.senders_used, senders);
    out.push_back(facts.senders_used + needed <= senders
                      ? ok("max_wal_senders", busy)
                      : failed("max_wal_senders", fmt::format("{}: {} more needed", busy, needed),
                               set_and_restart("max_wal_senders", std::to_string(senders + 4))));
}

void check_grants(Connection& sql, const Facts& facts, std::vector<Check>& out)
{
    const std::string role = Connection::identifier(sql.user());
    for (const FunctionGrant& function : wanted_functions(facts.version)) {
        const bool granted =
            sql.exec_params("SELECT has_function_privilege($1, 'EXECUTE')", {function.signature})
                .boolean(0, 0)
                .value_or(false);
        const std::string name = "grant_" + function.check;
        if (granted) {
            if (out.empty() || out.back().name != name) out.push_back(ok(name, "granted"));
            continue;
        }
        const std::string cause = fmt::format("role {} may not execute {} in database {}", role,
                                              function.check, sql.dbname());
        const std::string fix = fmt::format("in database {}: GRANT EXECUTE ON FUNCTION {} TO {};",
                                            sql.dbname(), function.signature, role);
        out.push_back(function.optional ? waiting(name, cause, fix) : failed(name, cause, fix));
    }
    for (const std::string& predefined : needed_roles(facts.version)) {
        const bool member = sql.exec_params("SELECT pg_has_role($1, 'USAGE')", {predefined})
                                .boolean(0, 0)
                                .value_or(false);
        const std::string name = "grant_" + predefined;
        out.push_back(member ? ok(name, "granted")
                             : failed(name,
                                      fmt::format("role {} is no member of {}", role, predefined),
                                      fmt::format("GRANT {} TO {};", predefined, role)));
    }
}

Check check_replication(const MemberConfig& member, const std::string& system_id)
{
    try {
        Connection replication = Connection::open(member.url, {.replication = true});
        if (identify_system(replication).system_id != system_id)
            return failed("replication", "the replication connection reaches another cluster",
                          "the url's hosts must all be of one cluster");
        return ok("replication", "a replication connection opens");
    } catch (const Error& error) {
        return failed("replication", error.message(), error.hint());
    }
}

Check check_data_dir(const MemberConfig& member, const std::string& system_id)
{
    if (!member.data_dir) return ok("data_dir", "not configured: base backups come over the wire");
    const auto path = *member.data_dir / kControlPath;
    try {
        const base::Bytes control = base::read_file(path, std::size_t{1} << 20);
        // The first field is the system identifier, in all versions (pg_control.h).
        if (control.size() < 8)
            return failed("data_dir", fmt::format("{} is cut short", path.string()),
                          "let data_dir name the data directory of this server");
        const std::uint64_t id = base::load_u64(control.data());
        if (std::to_string(id) != system_id)
            return failed("data_dir",
                          fmt::format("{} belongs to another cluster ({}) than the server ({})",
                                      member.data_dir->string(), id, system_id),
                          "let data_dir name the data directory of this server, or leave it out");
        return ok("data_dir", member.data_dir->string());
    } catch (const Error& error) {
        return failed(
            "data_dir", error.message(),
            "let data_dir name the data directory of this server and run tidemark as a user "
            "who may read it, or leave data_dir out: base backups then come over the wire");
    }
}

} // namespace

std::string set_and_restart(const std::string& setting, const std::string& value)
{
    return fmt::format("ALTER SYSTEM SET {} = {}; then restart the server", setting, value);
}

Check check_clock(base::Duration offset, base::Duration round_trip)
{
    const base::Duration sure = std::chrono::abs(offset) - round_trip / 2;
    const std::string shown =
        fmt::format("{} ms {} this host's", std::chrono::abs(offset) / std::chrono::milliseconds{1},
                    offset.count() < 0 ? "behind" : "ahead of");
    if (sure < std::chrono::seconds{1}) return ok("clock", shown);
    return waiting("clock", "the server's clock is " + shown,
                   "synchronise both clocks (chrony, systemd-timesyncd); marks stay right, but "
                   "restore --to TIME means the server's time");
}

Check check_standby(const Standby& standby)
{
    const std::string name = "standby";
    if (!standby.problem.empty())
        return waiting(name, standby.where + ": " + standby.problem, standby.fix);
    if (!standby.slot.exists)
        return waiting(name,
                       standby.where + " has no slot of ours yet: a failover to it now could leave "
                                       "a gap in the log",
                       "the next tidemark log, mark or run makes it");
    if (standby.slot.lost)
        return waiting(name, fmt::format("the slot on {} is lost", standby.where),
                       "the next tidemark log, mark or run makes it again; raise "
                       "max_slot_wal_keep_size there");
    return ok(name, fmt::format("{}: the slot holds {} of log", standby.where,
                                base::format_size(standby.slot.held_bytes)));
}

Check check_orphans(const std::vector<PreparedBranch>& prepared, base::Time now)
{
    std::string list;
    const PreparedBranch* first = nullptr;
    int count = 0;
    for (const PreparedBranch& branch : prepared) {
        if (now - branch.prepared < model::kOrphanAge) continue;
        if (first == nullptr) first = &branch;
        if (++count <= 3)
            list += fmt::format("{}{} ({}, owner {}, database {})", count > 1 ? ", " : "",
                                Connection::literal(branch.gid),
                                base::format_duration(now - branch.prepared), branch.owner,
                                branch.database);
    }
    if (count == 0) return ok("prepared_orphans", "no prepared transaction older than 10 min");
    if (count > 3) list += fmt::format(" and {} more", count - 3);
    return waiting("prepared_orphans",
                   fmt::format("{} prepared {} older than 10 min: {}", count,
                               count == 1 ? "transaction is" : "transactions are", list),
                   fmt::format("ask the coordinator, then in database {}: COMMIT PREPARED {}; or "
                               "ROLLBACK PREPARED {};",
                               first->database, Connection::literal(first->gid),
                               Connection::literal(first->gid)));
}

std::vector<Check> run_checks(Connection& sql, const MemberConfig& member)
{
    std::vector<Check> out;
    const Facts facts = read_facts(sql);
    check_server(facts, out);
    check_grants(sql, facts, out);
    const std::string system_id =
        std::string(sql.exec("SELECT system_identifier FROM pg_control_system()").get(0, 0));
    out.push_back(check_replication(member, system_id));
    check_slot(sql, facts, member, out);
    out.push_back(check_data_dir(member, system_id));
    out.push_back(check_configuration(sql, member));
    out.push_back(check_synchronous(sql));
    return out;
}

} // namespace tidemark::engine::postgres
