#include "engine/postgres/restored_server.h"

#include "base/error.h"
#include "engine/postgres/config_capture.h"

#include <chrono>
#include <fmt/format.h>
#include <thread>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Error;

std::string quote(std::string_view value)
{
    std::string out = "'";
    for (char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

/// What roles and databases may have set (ALTER ROLE ... SET) yields to what the client asks for.
/// As a replica, so that no ordinary trigger of the backup's runs (rules.md 23).
std::vector<std::string> session_settings()
{
    return {"session_preload_libraries=", "local_preload_libraries=", "role=none",
            "session_replication_role=replica", "synchronous_commit=on", "zero_damaged_pages=off",
            "row_security=off",
            // A database of the backup may set it, and a sandbox forbid it.
            "jit=off"};
}

/// Event triggers that fire in a session as a replica: the statements that switch them off and on.
struct EventTriggers {
    std::string off;
    std::string on;
};
EventTriggers stubborn_event_triggers(Connection& connection)
{
    EventTriggers out;
    auto rows = connection.exec("SELECT evtname, evtenabled FROM pg_catalog.pg_event_trigger "
                                "WHERE evtenabled IN ('A', 'R')");
    for (int i = 0; i < rows.rows(); ++i) {
        auto alter = "ALTER EVENT TRIGGER " + Connection::identifier(rows.get(i, 0));
        out.off += alter + " DISABLE;";
        out.on += alter + (rows.get(i, 1) == "A" ? " ENABLE ALWAYS;" : " ENABLE REPLICA;");
    }
    return out;
}

/// For one statement of an operator; on large tables that is much.
constexpr std::chrono::hours kAskPatience{6};

/// In our work folder: the name of the database that accepts connections only for our sake.
constexpr const char* kOpenedFile = "opened-database";

} // namespace

bool is_shut_out(const SqlError& error)
{
    // No such role, or it may not log in; no such database; it accepts nobody; the role is no
    // superuser, so that it may not say our settings.
    const auto& state = error.sqlstate();
    return state == "28000" || state == "3D000" || state == "55000" || state == "42501";
}

std::string RestoredServer::conninfo(const std::string& database) const
{
    return fmt::format("host={} port={} user={} dbname={} sslmode=disable gssencmode=disable",
                       quote(place_.socket_dir.native()), place_.port, quote(place_.superuser),
                       quote(database));
}

Connection RestoredServer::connect(const std::string& database) const
{
    // Gids and names hold the bytes of whatever encoding their database has: none is converted.
    return Connection::open(conninfo(database), {.encoding = "SQL_ASCII",
                                                 .application_name = "tidemark restore",
                                                 .settings = session_settings()});
}

Connection RestoredServer::connect() const
{
    if (!place_.database.empty()) return connect(place_.database);
    for (const char* name : {"postgres", "template1"}) {
        try {
            return connect(name);
        } catch (const SqlError& error) {
            if (error.sqlstate() != "3D000" && error.sqlstate() != "55000") throw;
        }
    }
    return connect("template0");
}

bool RestoredServer::wait_until_open(const std::function<bool()>& alive, std::stop_token stop,
                                     base::Duration patience) const
{
    using std::chrono::steady_clock;
    auto deadline = steady_clock::now() + patience;
    while (alive()) {
        if (stop.stop_requested()) throw Error{Code::cancelled, "the restore was stopped"};
        try {
            auto connection = connect();
            auto rows = connection.exec("SELECT pg_catalog.pg_is_in_recovery()");
            if (rows.boolean(0, 0) == false) return true;
        } catch (const SqlError& error) {
            // 57P03: starting up. No state at all: the socket is not there yet.
            if (!error.sqlstate().empty() && error.sqlstate() != "57P03") throw;
            if (error.sqlstate().empty() && steady_clock::now() >= deadline) {
                throw Error{Code::failed,
                            fmt::format("the restored server runs but does not answer in {}: {}",
                                        place_.socket_dir.native(), error.what()),
                            {.hint = "its log is in " + journal_.path().native()}};
            }
            // It may replay for long, but it is there.
            if (!error.sqlstate().empty()) deadline = steady_clock::now() + patience;
        }
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

void RestoredServer::require_identity(const fs::path& data_dir, const std::string& system_id) const
{
    auto rows = connect().exec("SELECT pg_catalog.current_setting('data_directory'), "
                               "system_identifier::text FROM pg_catalog.pg_control_system()");
    std::error_code error;
    std::string says{rows.get(0, 0)};
    if (!fs::equivalent(says, data_dir, error)) {
        throw Error{Code::identity_mismatch,
                    fmt::format("the server on our socket works in {} instead of {}", says,
                                data_dir.native())};
    }
    if (!system_id.empty() && rows.get(0, 1) != system_id) {
        throw Error{Code::identity_mismatch,
                    fmt::format("the restored server is system {} instead of {}", rows.get(0, 1),
                                system_id)};
    }
}

std::vector<RestoredServer::Database> RestoredServer::databases() const
{
    auto rows = connect().exec("SELECT datname, datallowconn FROM pg_catalog.pg_database "
                               "WHERE datname <> 'template0' AND datconnlimit <> -2 ORDER BY oid");
    std::vector<Database> out;
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back({std::string(rows.get(i, 0)), rows.boolean(i, 1).value_or(true)});
    }
    return out;
}

void RestoredServer::in_database(const Database& database,
                                 const std::function<void(Connection&)>& body) const
{
    if (database.accepts) {
        auto connection = connect(database.name);
        return body(connection);
    }
    auto admin = connect();
    journal_.write(kOpenedFile, database.name);
    set_accepting(admin, database.name, true);
    try {
        auto connection = connect(database.name);
        body(connection);
    } catch (...) {
        set_accepting(admin, database.name, false);
        throw;
    }
    set_accepting(admin, database.name, false);
    journal_.remove(kOpenedFile);
}

void RestoredServer::set_accepting(Connection& admin, const std::string& database,
                                   bool accepting) const
{
    admin.exec(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS {}",
                           Connection::identifier(database), accepting));
}

void RestoredServer::close_opened_databases() const
{
    auto name = journal_.read(kOpenedFile);
    if (!name) return;
    auto admin = connect();
    auto rows =
        admin.exec_params("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", {name});
    if (rows.rows() == 1) set_accepting(admin, *name, false);
    journal_.remove(kOpenedFile);
}

std::vector<model::PreparedBranch> RestoredServer::prepared() const
{
    auto rows = connect().exec(
        "SELECT p.transaction::text, p.gid, "
        "(extract(epoch FROM p.prepared) * 1000000)::bigint, p.owner, p.database, r.oid, d.oid "
        "FROM pg_catalog.pg_prepared_xacts p "
        "LEFT JOIN pg_catalog.pg_roles r ON r.rolname = p.owner "
        "LEFT JOIN pg_catalog.pg_database d ON d.datname = p.database ORDER BY p.prepared, p.gid");
    std::vector<model::PreparedBranch> branches;
    for (int i = 0; i < rows.rows(); ++i) {
        model::PreparedBranch branch;
        branch.xid = static_cast<std::uint32_t>(rows.integer(i, 0).value_or(0));
        branch.gid = rows.get(i, 1);
        branch.prepared = base::Time{base::Duration{rows.integer(i, 2).value_or(0)}};
        branch.owner = rows.get(i, 3);
        branch.database = rows.get(i, 4);
        branch.owner_oid = static_cast<std::uint32_t>(rows.integer(i, 5).value_or(0));
        branch.database_oid = static_cast<std::uint32_t>(rows.integer(i, 6).value_or(0));
        branches.push_back(std::move(branch));
    }
    return branches;
}

void RestoredServer::settle(const model::PreparedBranch& branch, bool commit) const
{
    close_opened_databases();
    // Compared here: the gid need not be text in the encoding of the database that we ask.
    auto rows = connect().exec("SELECT p.transaction::text, d.datname, d.datallowconn, p.gid "
                               "FROM pg_catalog.pg_prepared_xacts p "
                               "JOIN pg_catalog.pg_database d ON d.datname = p.database");
    int row = 0;
    while (row < rows.rows() && rows.get(row, 3) != branch.gid)
        ++row;
    if (row == rows.rows()) return; // by an earlier run of ours
    if (rows.get(row, 0) != std::to_string(branch.xid)) {
        throw Error{
            Code::failed,
            fmt::format("prepared transaction '{}' has xid {} here instead of {}: not settled",
                        branch.gid, rows.get(row, 0), branch.xid)};
    }
    Database database{std::string(rows.get(row, 1)), rows.boolean(row, 2).value_or(true)};
    in_database(database, [&](Connection& connection) {
        connection.exec(fmt::format("{} PREPARED {}", commit ? "COMMIT" : "ROLLBACK",
                                    Connection::literal(branch.gid)));
    });
}

std::optional<std::string> RestoredServer::ask(const std::string& database, const std::string& sql,
                                               std::stop_token stop) const
{
    auto settings = session_settings();
    settings.emplace_back("search_path=\"$user\",public");
    settings.emplace_back("default_transaction_read_only=on");
    // What is kept prepared may hold locks for ever.
    settings.emplace_back("lock_timeout=60s");
    auto connection = Connection::open(
        conninfo(database),
        {.application_name = "tidemark drill", .settings = settings, .stop = stop});
    auto rows = connection.exec_params(sql, {}, Wait::within(kAskPatience, stop));
    if (rows.kind() != ResultKind::rows || rows.columns() != 1 || rows.rows() != 1) {
        throw Error{Code::failed,
                    fmt::format("the statement returned {} rows with {} columns instead of one "
                                "value",
                                rows.rows(), rows.columns())};
    }
    return rows.text(0, 0);
}

void RestoredServer::define_unseen(Connection& connection, const std::string& statement)
{
    // From 17 on a setting keeps all of them off. Changing an event trigger fires none.
    EventTriggers triggers;
    if (connection.server_version() < 170000) triggers = stubborn_event_triggers(connection);
    try {
        // What is kept prepared may hold locks for ever.
        connection.exec("BEGIN;SET LOCAL lock_timeout='60s';" + triggers.off + statement + ";" +
                        triggers.on + "COMMIT");
    } catch (const SqlError&) {
        connection.exec("ROLLBACK");
        throw;
    }
}

void RestoredServer::install_extension(const std::string& name) const
{
    for (const auto& database : databases()) {
        if (!database.accepts) continue;
        auto connection = connect(database.name);
        auto there = connection.exec_params(
            "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = $1", {name});
        if (there.rows() > 0) continue;
        define_unseen(connection, fmt::format("CREATE EXTENSION {} WITH SCHEMA pg_catalog",
                                              Connection::identifier(name)));
    }
}

std::vector<std::string>
RestoredServer::warnings(const std::map<std::string, std::string>& collations) const
{
    std::vector<std::string> out;
    auto admin = connect();
    auto here = collation_versions(admin);
    for (const auto& [locale, version] : collations) {
        auto at = here.find(locale);
        if (at == here.end()) {
            out.push_back(fmt::format(
                "collation {} (version {} at backup) is not known to this host", locale, version));
        } else if (at->second != version) {
            out.push_back(fmt::format("collation {} has version {} here and had {} at backup: "
                                      "REINDEX what is sorted by it",
                                      locale, at->second, version));
        }
    }
    auto rows = admin.exec("SELECT datname FROM pg_catalog.pg_database WHERE datconnlimit = -2");
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back(
            fmt::format("database {} was being dropped: DROP DATABASE it", rows.get(i, 0)));
    }
    for (const auto& database : databases()) {
        if (database.accepts) add_database_warnings(database.name, out);
    }
    return out;
}

void RestoredServer::add_database_warnings(const std::string& name,
                                           std::vector<std::string>& out) const
{
    auto connection = connect(name);
    auto rows = connection.exec(
        "SELECT collname, collversion, pg_catalog.pg_collation_actual_version(oid) "
        "FROM pg_catalog.pg_collation "
        "WHERE collversion <> pg_catalog.pg_collation_actual_version(oid) AND oid >= 16384");
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back(
            fmt::format("database {}: collation {} was made with version {} and is {} here: "
                        "REINDEX what is sorted by it, then ALTER COLLATION ... REFRESH "
                        "VERSION",
                        name, rows.get(i, 0), rows.get(i, 1), rows.get(i, 2)));
    }
    // Rule 27: what lies in the data leads to other servers whatever the configuration says.
    rows = connection.exec(
        "SELECT s.srvname, w.fdwname, pg_catalog.array_to_string(ARRAY(SELECT o "
        "FROM pg_catalog.unnest(s.srvoptions) o WHERE o ~ '^(host|hostaddr|port|dbname)='), ' ') "
        "FROM pg_catalog.pg_foreign_server s "
        "JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY s.srvname");
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back(fmt::format("database {}: can write elsewhere: foreign server {} ({}; {}). "
                                  "Quarantine does not stop it: keep applications away, or drop "
                                  "its user mappings",
                                  name, rows.get(i, 0), rows.get(i, 1), rows.get(i, 2)));
    }
    rows = connection.exec("SELECT extname FROM pg_catalog.pg_extension "
                           "WHERE extname IN ('dblink', 'plproxy', 'http', 'pg_net')");
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back(
            fmt::format("database {}: can write elsewhere: functions of the extension {}. "
                        "Quarantine does not stop them",
                        name, rows.get(i, 0)));
    }
    rows = connection.exec("SELECT subname FROM pg_catalog.pg_subscription WHERE subdbid = "
                           "(SELECT oid FROM pg_catalog.pg_database "
                           "WHERE datname = pg_catalog.current_database()) AND subenabled");
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back(fmt::format("database {}: subscription {} would drain a slot of its "
                                  "publisher: quarantine disables it, --as-production does not",
                                  name, rows.get(i, 0)));
    }
    rows = connection.exec("SELECT count(*) FROM pg_catalog.pg_class "
                           "WHERE relpersistence = 'u' AND relkind = 'r'");
    if (auto unlogged = rows.integer(0, 0).value_or(0); unlogged > 0) {
        out.push_back(fmt::format("database {}: {} unlogged tables are empty", name, unlogged));
    }
}

} // namespace tidemark::engine::postgres
