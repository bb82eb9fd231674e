#include "engine/postgres/pq.h"

#include "base/check.h"
#include "base/log.h"
#include "engine/postgres/pq_errors.h"
#include "engine/postgres/pq_socket.h"
#include "engine/postgres/redact.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <limits>
#include <map>
#include <poll.h>
#include <utility>

namespace tidemark::engine::postgres {

using base::Code;
using base::Error;

struct Connection::State {
    struct Close {
        void operator()(PGconn* conn) const { PQfinish(conn); }
    };
    struct FreeCopy {
        void operator()(char* memory) const { PQfreemem(memory); }
    };
    std::unique_ptr<PGconn, Close> conn;
    std::unique_ptr<char, FreeCopy> copy;
    WakeFd wake;
    std::string where;
    std::string secret; ///< the password, only to be able to hide it
    bool replication = false;
    bool broken = false;
};

namespace {

using Keywords = std::map<std::string, std::string>;

Keywords parse_conninfo(const std::string& url)
{
    if (const std::string defect = url_defect(url); !defect.empty())
        throw Error{Code::usage,
                    fmt::format("the url {} cannot be right: {}", redact_url(url), defect)};
    char* message = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
    if (options == nullptr) {
        // libpq quotes parts of the string in its message, a password among them.
        PQfreemem(message);
        throw Error{
            Code::usage,
            fmt::format("the url {} cannot be read as a connection string", redact_url(url)),
            {.hint = "write postgresql://user@host:port/database?sslmode=verify-full, with "
                     "special characters percent-encoded"}};
    }
    Keywords out;
    for (const PQconninfoOption* o = options; o->keyword != nullptr; ++o)
        if (o->val != nullptr) out[o->keyword] = o->val;
    PQconninfoFree(options);
    return out;
}

Keywords connection_keywords(const std::string& url, const ConnectOptions& options)
{
    Keywords words = parse_conninfo(url);
    words["application_name"] = options.application_name;
    words["client_encoding"] = "UTF8";
    if (!options.dbname.empty()) words["dbname"] = options.dbname;
    if (options.replication) {
        words["replication"] = "true";
        words["dbname"] = "replication";
    }
    // A dead peer is noticed even while we only listen.
    words.try_emplace("keepalives_idle", "30");
    words.try_emplace("keepalives_interval", "10");
    words.try_emplace("keepalives_count", "3");
    words.try_emplace("tcp_user_timeout", "60000");
    std::string settings = words["options"];
    for (const char* setting :
         {"statement_timeout=0", "lock_timeout=0", "idle_in_transaction_session_timeout=0",
          "search_path=", "synchronous_commit=local", "datestyle=ISO", "timezone=UTC",
          "bytea_output=hex", "standard_conforming_strings=on", "default_transaction_read_only=off",
          "default_transaction_isolation=read\\ committed"})
        settings += fmt::format(" -c {}", setting);
    for (const std::string& setting : options.settings)
        settings += fmt::format(" -c {}", setting);
    words["options"] = settings;
    return words;
}

std::string describe(PGconn* conn)
{
    const auto text = [](const char* value) { return std::string(value ? value : ""); };
    const std::string host = text(PQhost(conn));
    const std::string shown = host.empty() ? text(PQhostaddr(conn)) : host;
    return fmt::format("{}:{}/{} as {}", shown, text(PQport(conn)), text(PQdb(conn)),
                       text(PQuser(conn)));
}

void log_notice(void* /*unused*/, const PGresult* result)
{
    const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    base::log_debug("server notice: {}", text ? text : "");
}

std::string field(const PGresult* result, int code)
{
    const char* text = PQresultErrorField(result, code);
    return text ? text : "";
}

bool local_socket_of(PGconn* conn)
{
    const char* host = PQhost(conn);
    return host == nullptr || host[0] == '/' || host[0] == '@' || host[0] == '\0';
}

} // namespace

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Connection Connection::open(const std::string& url, const ConnectOptions& options)
{
    const Keywords words = connection_keywords(url, options);
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : words) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);

    auto state = std::make_unique<State>();
    const Wait wait = Wait::within(options.timeout, options.stop);
    state->conn.reset(PQconnectStartParams(keys.data(), values.data(), 0));
    PGconn* conn = state->conn.get();
    if (conn == nullptr) throw std::bad_alloc{};
    if (const auto it = words.find("password"); it != words.end()) state->secret = it->second;
    state->replication = options.replication;
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, log_notice, nullptr);

    PostgresPollingStatusType poll_state = PGRES_POLLING_WRITING;
    bool timed_out = false;
    while (PQstatus(conn) != CONNECTION_BAD && poll_state != PGRES_POLLING_OK &&
           poll_state != PGRES_POLLING_FAILED && !timed_out) {
        const short events = poll_state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        const Ready ready = wait_socket(PQsocket(conn), events, wait, state->wake);
        if (ready == Ready::stopped) throw Error{Code::cancelled, "stopped while connecting"};
        timed_out = ready == Ready::timeout;
        if (!timed_out) poll_state = PQconnectPoll(conn);
    }
    state->where = describe(conn);
    if (timed_out)
        throw SqlError{
            Code::member_unreachable,
            fmt::format("no connection within {} s to {}",
                        std::chrono::duration_cast<std::chrono::seconds>(options.timeout).count(),
                        state->where),
            {.hint = "check that the server answers and the network lets us through",
             .transient = true},
            {}};
    if (PQstatus(conn) != CONNECTION_OK)
        throw connect_error({.text = scrub(PQerrorMessage(conn), state->secret),
                             .where = state->where,
                             .user = PQuser(conn) ? PQuser(conn) : "",
                             .dbname = PQdb(conn) ? PQdb(conn) : "",
                             .replication = options.replication,
                             .local_socket = local_socket_of(conn),
                             .had_password = PQconnectionUsedPassword(conn) == 1});
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(conn, 1) != 0) throw lost_error(state->where, PQerrorMessage(conn));
    Connection connection{std::move(state)};
    connection.prepare_session(options, wait);
    return connection;
}

void Connection::prepare_session(const ConnectOptions& options, const Wait& wait)
{
    if (options.replication) return; // a physical wal sender runs no SQL
    const bool idle_setting = server_version() >= 140000;
    const Result result =
        exec(idle_setting ? "SELECT pg_catalog.pg_backend_pid(), "
                            "pg_catalog.set_config('idle_session_timeout', '0', false)"
                          : "SELECT pg_catalog.pg_backend_pid()",
             wait);
    // Poolers make up the process id that they announce to us.
    if (result.integer(0, 0) != backend_pid())
        throw Error{Code::member_not_ready,
                    fmt::format("a connection pooler answers at {}", description()),
                    {.hint = "let the member's url point at the server itself (usually port 5432), "
                             "not at the pooler"}};
}

void Connection::require_usable()
{
    CHECK(state_ && state_->conn);
    if (state_->broken) throw lost_error(state_->where, "it was given up after an earlier fault");
}

void Connection::fail_lost()
{
    state_->broken = true;
    const ServerMessage message = parse_verbose(PQerrorMessage(state_->conn.get()));
    throw lost_error(state_->where, message.primary.empty()
                                        ? "closed by the server"
                                        : scrub(message.primary, state_->secret));
}

void Connection::fail_result(void* handle, const Wait& wait)
{
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(static_cast<PGresult*>(handle),
                                                               &PQclear);
    StatementFailure failure{.sqlstate = field(result.get(), PG_DIAG_SQLSTATE),
                             .primary = field(result.get(), PG_DIAG_MESSAGE_PRIMARY),
                             .detail = field(result.get(), PG_DIAG_MESSAGE_DETAIL),
                             .hint = field(result.get(), PG_DIAG_MESSAGE_HINT),
                             .where = state_->where,
                             .user = user()};
    if (PQstatus(state_->conn.get()) == CONNECTION_BAD) {
        state_->broken = true;
        if (failure.sqlstate.empty()) fail_lost();
        throw statement_error(failure);
    }
    drain(wait);
    if (failure.primary.empty()) failure.primary = PQresultErrorMessage(result.get());
    throw statement_error(failure);
}

void Connection::drain(const Wait& wait) noexcept
{
    // The rest of the command's results, so that the next command finds the connection idle.
    try {
        const Wait bound{
            std::min(wait.deadline, std::chrono::steady_clock::now() + std::chrono::seconds{5}),
            wait.stop};
        while (true) {
            while (PQisBusy(state_->conn.get()) != 0) {
                if (wait_socket(PQsocket(state_->conn.get()), POLLIN, bound, state_->wake) !=
                        Ready::ready ||
                    PQconsumeInput(state_->conn.get()) == 0) {
                    state_->broken = true;
                    return;
                }
            }
            PGresult* rest = PQgetResult(state_->conn.get());
            if (rest == nullptr) return;
            const ExecStatusType status = PQresultStatus(rest);
            PQclear(rest);
            if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) {
                state_->broken = true;
                return;
            }
        }
    } catch (const Error&) {
        state_->broken = true;
    }
}

void Connection::flush(const Wait& wait)
{
    PGconn* conn = state_->conn.get();
    for (int left = PQflush(conn); left != 0; left = PQflush(conn)) {
        if (left < 0) fail_lost();
        // Reading too: a server whose own output is stuck never takes ours.
        const Ready ready = wait_socket(PQsocket(conn), POLLIN | POLLOUT, wait, state_->wake);
        if (ready != Ready::ready) {
            state_->broken = true;
            if (ready == Ready::stopped) throw Error{Code::cancelled, "stopped"};
            throw lost_error(state_->where, "the server takes no more data");
        }
        if (PQconsumeInput(conn) == 0) fail_lost();
    }
}

void Connection::send(const std::string& sql, const Wait& wait)
{
    require_usable();
    if (PQsendQuery(state_->conn.get(), sql.c_str()) == 0) fail_lost();
    flush(wait);
}

Result Connection::next_result(const Wait& wait)
{
    require_usable();
    PGconn* conn = state_->conn.get();
    while (PQisBusy(conn) != 0) {
        const Ready ready = wait_socket(PQsocket(conn), POLLIN, wait, state_->wake);
        if (ready != Ready::ready) {
            // The statement goes on at the server; nobody may use this session again.
            state_->broken = true;
            if (ready == Ready::stopped)
                throw Error{Code::cancelled, "stopped while waiting for " + state_->where};
            throw SqlError{Code::member_unreachable,
                           fmt::format("{} did not answer in time", state_->where),
                           {.hint = "the server hangs or is overloaded; try again when it answers",
                            .transient = true},
                           {}};
        }
        if (PQconsumeInput(conn) == 0) fail_lost();
    }
    PGresult* result = PQgetResult(conn);
    switch (result == nullptr ? PGRES_EMPTY_QUERY : PQresultStatus(result)) {
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
        fail_result(result, wait);
    default:
        break;
    }
    if (result == nullptr && PQstatus(conn) == CONNECTION_BAD) fail_lost();
    return result == nullptr ? Result{} : Result{result};
}

Result Connection::collect(const Wait& wait)
{
    Result last;
    while (true) {
        Result result = next_result(wait);
        switch (result.kind()) {
        case ResultKind::none:
            return last;
        case ResultKind::copy_in:
        case ResultKind::copy_out:
        case ResultKind::copy_both:
            state_->broken = true;
            throw Error{Code::failed, "a statement started a copy where a result was expected"};
        default:
            last = std::move(result);
        }
    }
}

Result Connection::exec(const std::string& sql, const Wait& wait)
{
    send(sql, wait);
    return collect(wait);
}

namespace {

int send_params(PGconn* conn, const std::string& sql,
                const std::vector<std::optional<std::string>>& params, int format)
{
    std::vector<const char*> values;
    values.reserve(params.size());
    for (const auto& param : params)
        values.push_back(param ? param->c_str() : nullptr);
    return PQsendQueryParams(conn, sql.c_str(), static_cast<int>(values.size()), nullptr,
                             values.data(), nullptr, nullptr, format);
}

} // namespace

Result Connection::exec_params(const std::string& sql,
                               const std::vector<std::optional<std::string>>& params,
                               const Wait& wait)
{
    require_usable();
    if (send_params(state_->conn.get(), sql, params, 0) == 0) fail_lost();
    flush(wait);
    return collect(wait);
}

Result Connection::exec_binary(const std::string& sql,
                               const std::vector<std::optional<std::string>>& params,
                               const Wait& wait)
{
    require_usable();
    if (send_params(state_->conn.get(), sql, params, 1) == 0) fail_lost();
    flush(wait);
    return collect(wait);
}

Connection::CopyRead Connection::read_copy(const Wait& wait)
{
    require_usable();
    PGconn* conn = state_->conn.get();
    state_->copy.reset();
    while (true) {
        char* buffer = nullptr;
        const int size = PQgetCopyData(conn, &buffer, 1);
        if (size > 0) {
            state_->copy.reset(buffer);
            return {CopyStatus::data, base::as_bytes({buffer, static_cast<std::size_t>(size)})};
        }
        if (size == -1) return {CopyStatus::end, {}};
        if (size < -1) fail_lost();
        const Ready ready = wait_socket(PQsocket(conn), POLLIN, wait, state_->wake);
        if (ready == Ready::timeout) return {CopyStatus::timeout, {}};
        if (ready == Ready::stopped) return {CopyStatus::stopped, {}};
        if (PQconsumeInput(conn) == 0) fail_lost();
    }
}

void Connection::put_copy(base::ByteView message, const Wait& wait)
{
    require_usable();
    CHECK(message.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
    const std::string_view text = base::as_text(message);
    PGconn* conn = state_->conn.get();
    int sent = PQputCopyData(conn, text.data(), static_cast<int>(text.size()));
    while (sent == 0) {
        flush(wait);
        sent = PQputCopyData(conn, text.data(), static_cast<int>(text.size()));
    }
    if (sent < 0) fail_lost();
    flush(wait);
}

void Connection::end_copy(const Wait& wait)
{
    require_usable();
    int sent = PQputCopyEnd(state_->conn.get(), nullptr);
    while (sent == 0) {
        flush(wait);
        sent = PQputCopyEnd(state_->conn.get(), nullptr);
    }
    if (sent < 0) fail_lost();
    flush(wait);
}

int Connection::server_version() const
{
    return PQserverVersion(state_->conn.get());
}
int Connection::backend_pid() const
{
    return PQbackendPID(state_->conn.get());
}
const std::string& Connection::description() const
{
    return state_->where;
}
bool Connection::local_socket() const
{
    return local_socket_of(state_->conn.get());
}
bool Connection::encrypted() const
{
    return PQsslInUse(state_->conn.get()) == 1;
}
std::string Connection::user() const
{
    return PQuser(state_->conn.get());
}
std::string Connection::dbname() const
{
    return PQdb(state_->conn.get());
}
bool Connection::broken() const
{
    return !state_ || state_->broken;
}

std::string Connection::parameter(const std::string& name) const
{
    const char* value = PQparameterStatus(state_->conn.get(), name.c_str());
    return value ? value : "";
}

std::string Connection::literal(std::string_view text)
{
    std::string out = "'";
    bool escape = false;
    for (char c : text) {
        if (c == '\'' || c == '\\') out += c;
        escape = escape || c == '\\';
        out += c;
    }
    return (escape ? " E" : "") + out + "'";
}

std::string Connection::identifier(std::string_view name)
{
    std::string out = "\"";
    for (char c : name) {
        if (c == '"') out += c;
        out += c;
    }
    return out + "\"";
}

} // namespace tidemark::engine::postgres
