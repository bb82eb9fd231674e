#pragma once

#include "engine/postgres/pq.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

struct RoleSpec {
    int version_num = 0; ///< server_version_num
    std::string role = "tidemark";
    std::string dbname = "postgres"; ///< of the member's url: function grants hold per database
};

/// A function that we call and that is not for everybody.
struct FunctionGrant {
    std::string check;     ///< short name in check's output, "pg_backup_start"
    std::string signature; ///< as GRANT and has_function_privilege take it
    /// Only makes base backups over the wire better (torn pages are read again, configuration is
    /// kept). Shows nothing that the right of replication does not show.
    bool optional = false;
};
std::vector<FunctionGrant> wanted_functions(int version_num);

/// Predefined roles that our role has to be a member of.
std::vector<std::string> needed_roles(int version_num);

/// The statements that make the least-privileged role; may be run again.
std::vector<std::string> role_statements(const RoleSpec& spec);

/// The same as a script for psql, to be read before it is run. It sets no password.
std::string print_sql(const RoleSpec& spec);

/// The way back, for psql and to be read first: takes away what role_statements() gave. A superuser
/// was given nothing.
std::string print_undo_sql(const RoleSpec& spec, bool superuser);

/// Whether the role can log in with a password; nothing when `admin` may not look.
std::optional<bool> has_password(Connection& admin, const std::string& role);

/// Configuration outside the data directory, which base backups over the wire hold only when the
/// role may read all that the server can; empty when it may, or when there is none.
std::vector<std::string> unreadable_configuration(Connection& admin, const std::string& role);
/// What would let it; for a person to decide, so no part of role_statements().
std::string reading_statement(const std::string& role);

/// Runs the statements in one transaction; `admin` is a superuser connected to spec.dbname.
void apply_sql(Connection& admin, const RoleSpec& spec);

} // namespace tidemark::engine::postgres
