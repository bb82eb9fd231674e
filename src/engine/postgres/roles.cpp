#include "engine/postgres/roles.h"

#include "engine/postgres/config_capture.h"

#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

constexpr int kNewBackupNames = 150000; // pg_start_backup became pg_backup_start

} // namespace

std::vector<FunctionGrant> wanted_functions(int version_num)
{
    std::vector<FunctionGrant> out;
    if (version_num >= kNewBackupNames) {
        out.push_back({"pg_backup_start", "pg_catalog.pg_backup_start(text, boolean)"});
        out.push_back({"pg_backup_stop", "pg_catalog.pg_backup_stop(boolean)"});
    } else {
        out.push_back({"pg_start_backup", "pg_catalog.pg_start_backup(text, boolean, boolean)"});
        out.push_back({"pg_stop_backup", "pg_catalog.pg_stop_backup(boolean, boolean)"});
    }
    out.push_back({"pg_create_restore_point", "pg_catalog.pg_create_restore_point(text)"});
    for (const char* arguments : {"text, bigint, bigint", "text, bigint, bigint, boolean"})
        out.push_back({"pg_read_binary_file",
                       fmt::format("pg_catalog.pg_read_binary_file({})", arguments), true});
    out.push_back({"pg_ls_dir", "pg_catalog.pg_ls_dir(text)", true});
    return out;
}

std::vector<std::string> needed_roles(int version_num)
{
    std::vector<std::string> out{"pg_monitor"};
    if (version_num >= kNewBackupNames) out.emplace_back("pg_checkpoint");
    return out;
}

std::vector<std::string> role_statements(const RoleSpec& spec)
{
    const std::string role = Connection::identifier(spec.role);
    std::vector<std::string> out;
    out.push_back(fmt::format(
        "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN "
        "CREATE ROLE {}; END IF; END $do$",
        Connection::literal(spec.role), role));
    out.push_back(fmt::format("ALTER ROLE {} LOGIN REPLICATION", role));
    for (const std::string& member : needed_roles(spec.version_num))
        out.push_back(fmt::format("GRANT {} TO {}", member, role));
    out.push_back(fmt::format("GRANT CONNECT ON DATABASE {} TO {}",
                              Connection::identifier(spec.dbname), role));
    for (const FunctionGrant& function : wanted_functions(spec.version_num))
        out.push_back(fmt::format("GRANT EXECUTE ON FUNCTION {} TO {}", function.signature, role));
    return out;
}

std::string print_sql(const RoleSpec& spec)
{
    std::string out = fmt::format(
        "-- Least-privileged role for tidemark on PostgreSQL {}. Run it as a superuser with psql;\n"
        "-- it may be run again. Grants on functions hold for one database only: the one that the\n"
        "-- member's url names.\n\\connect {}\nBEGIN;\n",
        spec.version_num / 10000, Connection::identifier(spec.dbname));
    for (const std::string& statement : role_statements(spec))
        out += statement + ";\n";
    out += fmt::format(
        "COMMIT;\n-- Only when base backups come over the wire and configuration files lie outside "
        "the\n"
        "-- data directory (Debian), so that backups hold them. The role can then read every file "
        "that\n"
        "-- the server can: {1}\n"
        "-- Unless the role logs in by certificate or peer, give it a password:\n"
        "-- \\password {0}\n",
        Connection::identifier(spec.role), reading_statement(spec.role));
    return out;
}

std::string print_undo_sql(const RoleSpec& spec, bool superuser)
{
    const std::string role = Connection::identifier(spec.role);
    std::string out;
    if (superuser) {
        out = fmt::format("-- Role {} is a superuser: tidemark was given nothing that could be "
                          "taken back.\n",
                          role);
    } else {
        out = fmt::format("-- Run this as a superuser with psql, unless another group uses the "
                          "role, too.\n\\connect {}\nBEGIN;\n",
                          Connection::identifier(spec.dbname));
        for (const FunctionGrant& function : wanted_functions(spec.version_num))
            out +=
                fmt::format("REVOKE EXECUTE ON FUNCTION {} FROM {};\n", function.signature, role);
        out += fmt::format("REVOKE CONNECT ON DATABASE {} FROM {};\n",
                           Connection::identifier(spec.dbname), role);
        out += fmt::format("DROP ROLE {};\nCOMMIT;\n", role);
    }
    return out +
           "-- Settings that were made for tidemark's slot; keep them where others need them:\n"
           "-- ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf();\n";
}

std::optional<bool> has_password(Connection& admin, const std::string& role)
{
    try {
        auto row = admin.exec("SELECT rolpassword IS NOT NULL FROM pg_catalog.pg_authid WHERE "
                              "rolname = " +
                              Connection::literal(role));
        if (row.rows() == 0) return std::nullopt;
        return row.get(0, 0) == "t";
    } catch (const SqlError& error) {
        if (error.sqlstate() == "42501") return std::nullopt;
        throw;
    }
}

std::vector<std::string> unreadable_configuration(Connection& admin, const std::string& role)
{
    const auto may =
        admin.exec_params("SELECT pg_has_role($1, 'pg_read_server_files', 'USAGE')", {role});
    if (may.boolean(0, 0).value_or(false)) return {};
    std::vector<std::string> out;
    for (const auto& file : capture_configuration(find_configuration(admin), server_reader(admin)))
        if (file.role != "tls") out.push_back(file.path);
    return out;
}

std::string reading_statement(const std::string& role)
{
    return fmt::format("GRANT pg_read_server_files TO {};", Connection::identifier(role));
}

void apply_sql(Connection& admin, const RoleSpec& spec)
{
    std::string all = "BEGIN";
    for (const std::string& statement : role_statements(spec))
        all += "; " + statement;
    all += "; COMMIT";
    try {
        admin.exec(all);
    } catch (const SqlError& error) {
        if (!admin.broken()) admin.exec("ROLLBACK");
        if (error.sqlstate() == "42501")
            throw base::Error{base::Code::member_not_ready,
                              error.message(),
                              {.hint = "give the url of a superuser, or let one run the statements "
                                       "of: tidemark init --print-sql URL"}};
        throw;
    }
}

} // namespace tidemark::engine::postgres
