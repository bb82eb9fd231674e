#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "model/log_position.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

/// The only wrapper of libpq. Every wait has a deadline and a stop token, so that a server that
/// hangs does not hang us. Nothing here ever prints a password.
namespace tidemark::engine::postgres {

/// When to stop waiting for the server.
struct Wait {
    std::chrono::steady_clock::time_point deadline;
    std::stop_token stop = {};

    static Wait within(std::chrono::milliseconds time, std::stop_token stop = {})
    {
        return {std::chrono::steady_clock::now() + time, std::move(stop)};
    }
};

inline constexpr std::chrono::seconds kDefaultWait{60};

/// An error that the server reported. Codes: member_unreachable (connection gone or server going
/// down, transient), member_not_ready (not allowed), failed (everything else).
class SqlError : public base::Error {
public:
    SqlError(base::Code code, std::string message, Extra extra, std::string sqlstate)
        : Error(code, std::move(message), std::move(extra)), sqlstate_(std::move(sqlstate))
    {
    }
    /// Five characters (PostgreSQL's errcodes.txt); empty when libpq itself failed.
    const std::string& sqlstate() const noexcept { return sqlstate_; }

private:
    std::string sqlstate_;
};

enum class ResultKind : std::uint8_t { none, command, rows, copy_out, copy_in, copy_both };

/// One result of one statement. Values are text unless asked for in binary.
class Result {
public:
    Result();
    explicit Result(void* handle); ///< takes over a PGresult
    Result(Result&&) noexcept;
    Result& operator=(Result&&) noexcept;
    ~Result();

    ResultKind kind() const;
    int rows() const;
    int columns() const;
    /// Number of the column; Error{failed} when the result has no such column.
    int column(const std::string& name) const;
    bool is_null(int row, int col) const;
    /// The value as sent, empty for NULL; valid as long as the result.
    std::string_view get(int row, int col) const;
    std::string_view get(int row, const std::string& col) const { return get(row, column(col)); }
    base::ByteView bytes(int row, int col) const { return base::as_bytes(get(row, col)); }
    /// Absent for NULL. Text that is not what was asked for is Error{failed}.
    std::optional<std::string> text(int row, int col) const;
    std::optional<std::int64_t> integer(int row, int col) const;
    std::optional<bool> boolean(int row, int col) const;
    std::optional<model::Offset> lsn(int row, int col) const;

private:
    struct Free {
        void operator()(void* handle) const;
    };
    std::unique_ptr<void, Free> handle_;
};

struct ConnectOptions {
    std::string dbname = {};  ///< instead of the URL's
    bool replication = false; ///< physical replication: replication commands and SHOW only
    /// Of what is sent and received; SQL_ASCII converts nothing.
    std::string encoding = "UTF8";
    std::string application_name = "tidemark";
    std::chrono::milliseconds timeout = std::chrono::seconds{15};
    /// More settings of the session, "name=value" without blanks, e.g. "wal_sender_timeout=10s".
    std::vector<std::string> settings = {};
    std::stop_token stop = {};
};

/// What libpq cannot open a connection with: what is to be said behind the name of `url`; empty
/// when it may do. Holds nothing of it, nor of libpq's own message, which may quote a password.
std::string conninfo_problem(const std::string& url);
/// A password or another secret stands in `url`; false also when libpq cannot read it.
bool holds_secret(const std::string& url);

/// One of the servers that a connection string names.
struct ServerUrl {
    std::string conninfo; ///< of this server alone, whatever its role; may hold a password
    std::string name;     ///< "orders-db:5432", for messages
};
/// host=a,b and postgresql://a,b/ name several servers. Their target_session_attrs and
/// load_balance_hosts are left out: we look ourselves. Error{usage} as Connection::open().
std::vector<ServerUrl> split_servers(const std::string& url);

/// One connection to a server; used by one thread at a time. After a deadline, a stop or a lost
/// connection it is broken() and every call fails; open a new one.
class Connection {
public:
    /// Connects and makes the session ours (rules.md 16): no timeouts, empty search_path,
    /// synchronous_commit=local, UTF-8, ISO dates in UTC. Errors: usage (the URL cannot be read),
    /// member_unreachable, member_not_ready (a pooler in between, no role, no pg_hba.conf entry).
    static Connection open(const std::string& url, const ConnectOptions& options = {});

    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    /// Hangs up at once; broken() afterwards.
    void close();
    /// For a watcher on another thread that has to unblock the server: makes the socket dead,
    /// without touching anything else. The connection must outlive the call.
    int socket() const;

    /// No wait goes beyond it, whatever the call says; time_point::max() takes it back.
    void set_deadline(std::chrono::steady_clock::time_point deadline);

    /// Runs one or more statements by the simple protocol; the last one's result.
    Result exec(const std::string& sql, const Wait& wait = Wait::within(kDefaultWait));
    /// Runs one statement with parameters $1...; an absent one is NULL.
    Result exec_params(const std::string& sql,
                       const std::vector<std::optional<std::string>>& params,
                       const Wait& wait = Wait::within(kDefaultWait));
    /// The same with all columns in binary (bytea as it is, integers big-endian).
    Result exec_binary(const std::string& sql,
                       const std::vector<std::optional<std::string>>& params,
                       const Wait& wait = Wait::within(kDefaultWait));

    /// For commands with several results or a copy: send, then next_result() until kind() is none.
    void send(const std::string& sql, const Wait& wait = Wait::within(kDefaultWait));
    Result next_result(const Wait& wait);

    enum class CopyStatus : std::uint8_t { data, end, timeout, stopped };
    struct CopyRead {
        CopyStatus status = CopyStatus::end;
        base::ByteView bytes; ///< one CopyData message; valid until the next call
    };
    /// Next message of a copy_out or copy_both. `timeout` and `stopped` leave the connection
    /// usable; after `end` call next_result(). A deadline in the past takes what is there.
    CopyRead read_copy(const Wait& wait);
    /// Sends one CopyData message and flushes it.
    void put_copy(base::ByteView message, const Wait& wait = Wait::within(kDefaultWait));
    /// Sends CopyDone; read_copy() until `end` and next_result() follow.
    void end_copy(const Wait& wait = Wait::within(kDefaultWait));

    /// server_version_num, e.g. 150018.
    int server_version() const;
    int backend_pid() const;
    /// Value of a parameter the server reports (server_version, in_hot_standby, ...), or empty.
    std::string parameter(const std::string& name) const;
    /// "orders-db:5432/postgres as tidemark"; holds no secret.
    const std::string& description() const;
    /// The server is reached over a Unix socket.
    bool local_socket() const;
    std::string user() const;
    std::string dbname() const;
    bool encrypted() const;
    bool broken() const;

    /// 'text' and "name", quoted for SQL and replication commands.
    static std::string literal(std::string_view text);
    static std::string identifier(std::string_view name);

private:
    struct State;
    explicit Connection(std::unique_ptr<State> state);
    void prepare_session(const ConnectOptions& options, const Wait& wait);
    void flush(const Wait& wait);
    Result collect(const Wait& wait);
    void drain(const Wait& wait) noexcept;
    [[noreturn]] void fail_lost();
    [[noreturn]] void fail_result(void* handle, const Wait& wait);
    void require_usable();

    std::unique_ptr<State> state_;
};

} // namespace tidemark::engine::postgres
