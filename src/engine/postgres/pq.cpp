#include "engine/postgres/pq.h"

#include "base/check.h"
#include "engine/postgres/pq_errors.h"
#include "engine/postgres/pq_state.h"
#include "engine/postgres/redact.h"

#include <fmt/format.h>

#include <limits>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace tidemark::engine::postgres {

using base::Code;
using base::Error;

namespace {

std::string field(const PGresult* result, int code)
{
    const char* text = PQresultErrorField(result, code);
    return text ? text : "";
}

} // namespace

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

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
                if (state_->wait_for(POLLIN, bound) != Ready::ready ||
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
        const Ready ready = state_->wait_for(POLLIN | POLLOUT, wait);
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
        const Ready ready = state_->wait_for(POLLIN, wait);
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
        const Ready ready = state_->wait_for(POLLIN, wait);
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

void Connection::close()
{
    state_->broken = true;
    ::shutdown(PQsocket(state_->conn.get()), SHUT_RDWR);
}

int Connection::socket() const
{
    return PQsocket(state_->conn.get());
}

void Connection::set_deadline(std::chrono::steady_clock::time_point deadline)
{
    state_->deadline = deadline;
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
