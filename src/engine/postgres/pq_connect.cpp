#include "base/log.h"
#include "engine/postgres/pq_errors.h"
#include "engine/postgres/pq_state.h"
#include "engine/postgres/redact.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <poll.h>

namespace tidemark::engine::postgres {

using base::Code;
using base::Error;

namespace {

using Keywords = std::map<std::string, std::string>;

/// Absent when libpq cannot read it. Its message is left: it quotes parts of the string, a password
/// among them.
std::optional<Keywords> read_conninfo(const std::string& url)
{
    char* message = nullptr;
    PQconninfoOption* options = PQconninfoParse(url.c_str(), &message);
    PQfreemem(message);
    if (options == nullptr) return std::nullopt;
    Keywords out;
    for (const PQconninfoOption* o = options; o->keyword != nullptr; ++o)
        if (o->val != nullptr) out[o->keyword] = o->val;
    PQconninfoFree(options);
    return out;
}

Keywords parse_conninfo(const std::string& url)
{
    if (const std::string defect = url_defect(url); !defect.empty())
        throw Error{Code::usage,
                    fmt::format("the url {} cannot be right: {}", redact_url(url), defect)};
    if (auto words = read_conninfo(url)) return std::move(*words);
    throw Error{Code::usage,
                fmt::format("the url {} cannot be read as a connection string", redact_url(url)),
                {.hint = "write postgresql://user@host:port/database?sslmode=verify-full, with "
                         "special characters percent-encoded"}};
}

Keywords connection_keywords(const std::string& url, const ConnectOptions& options)
{
    Keywords words = parse_conninfo(url);
    words["application_name"] = options.application_name;
    words["client_encoding"] = options.encoding;
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

bool local_socket_of(PGconn* conn)
{
    const char* host = PQhost(conn);
    return host == nullptr || host[0] == '/' || host[0] == '@' || host[0] == '\0';
}

std::vector<std::string> split_list(const Keywords& words, const char* key)
{
    std::vector<std::string> out;
    const auto it = words.find(key);
    if (it == words.end()) return out;
    std::string_view rest = it->second;
    while (true) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        out.emplace_back(rest.substr(0, comma));
        if (comma == rest.size()) return out;
        rest.remove_prefix(comma + 1);
    }
}

/// libpq's rule: one value for all, or one for each.
std::string list_item(const std::vector<std::string>& list, std::size_t index)
{
    if (list.size() == 1) return list.front();
    return index < list.size() ? list[index] : "";
}

std::string conninfo_of(const Keywords& words)
{
    std::string out;
    for (const auto& [key, value] : words) {
        out += fmt::format("{}{}='", out.empty() ? "" : " ", key);
        for (char c : value) {
            if (c == '\'' || c == '\\') out += '\\';
            out += c;
        }
        out += '\'';
    }
    return out;
}

} // namespace

std::string conninfo_problem(const std::string& url)
{
    if (const std::string defect = url_defect(url); !defect.empty())
        return "cannot be right: " + defect;
    const auto words = read_conninfo(url);
    if (!words)
        return "cannot be read as a connection string: it may hold libpq's parameters only, each "
               "with its value, and in a URL special characters percent-encoded";
    for (const std::string& item : split_list(*words, "port")) {
        std::string_view text = item; // blanks around it are nothing to libpq
        text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
        text = text.substr(0, text.find_last_not_of(" \t") + 1);
        int port = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
        const bool number = error == std::errc{} && end == text.data() + text.size();
        if (!text.empty() && (!number || port < 1 || port > 65535))
            return "names a port that is none; they go from 1 to 65535";
    }
    return {};
}

bool holds_secret(const std::string& url)
{
    const auto words = read_conninfo(url);
    return words && std::ranges::any_of(*words, [](const auto& word) {
               return is_secret_key(word.first) && !word.second.empty();
           });
}

std::vector<ServerUrl> split_servers(const std::string& url)
{
    Keywords words = parse_conninfo(url);
    const auto hosts = split_list(words, "host");
    const auto addresses = split_list(words, "hostaddr");
    const auto ports = split_list(words, "port");
    const std::size_t count = std::max({hosts.size(), addresses.size(), std::size_t{1}});
    const auto fits = [&](const std::vector<std::string>& list) {
        return list.empty() || list.size() == count;
    };
    if (!fits(hosts) || !fits(addresses) || (!fits(ports) && ports.size() != 1))
        throw Error{Code::usage,
                    fmt::format("the url {} names {} hosts and {} ports", redact_url(url), count,
                                ports.size()),
                    {.hint = "name one port for all hosts, or one for each"}};
    if (count == 1) {
        const std::string host = !hosts.empty() ? hosts[0] : list_item(addresses, 0);
        const std::string port = list_item(ports, 0);
        return {
            {.conninfo = url, .name = fmt::format("{}:{}", host, port.empty() ? "5432" : port)}};
    }
    words.erase("target_session_attrs");
    words.erase("load_balance_hosts");
    std::vector<ServerUrl> out;
    for (std::size_t i = 0; i < count; ++i) {
        Keywords one = words;
        const auto set = [&](const char* key, const std::string& value) {
            if (value.empty())
                one.erase(key);
            else
                one[key] = value;
        };
        set("host", list_item(hosts, i));
        set("hostaddr", list_item(addresses, i));
        set("port", list_item(ports, i));
        const std::string host = one.contains("host") ? one["host"] : list_item(addresses, i);
        out.push_back(
            {.conninfo = conninfo_of(one),
             .name = fmt::format("{}:{}", host, one.contains("port") ? one["port"] : "5432")});
    }
    return out;
}

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
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, log_notice, nullptr);

    PostgresPollingStatusType poll_state = PGRES_POLLING_WRITING;
    bool timed_out = false;
    while (PQstatus(conn) != CONNECTION_BAD && poll_state != PGRES_POLLING_OK &&
           poll_state != PGRES_POLLING_FAILED && !timed_out) {
        const short events = poll_state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        const Ready ready = state->wait_for(events, wait);
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
                             .local_socket = local_socket_of(conn)});
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(conn, 1) != 0) throw lost_error(state->where, PQerrorMessage(conn));
    Connection connection{std::move(state)};
    connection.prepare_session(options, wait);
    return connection;
}

void Connection::prepare_session(const ConnectOptions& options, const Wait& wait)
{
    if (options.replication) return; // a physical wal sender runs no SQL
    // Those that not every version knows cannot be asked for when connecting.
    std::string sql = "SELECT pg_catalog.pg_backend_pid()";
    if (server_version() >= 140000)
        sql += ", pg_catalog.set_config('idle_session_timeout', '0', false)";
    if (server_version() >= 170000) // a backup's checkpoint is one long transaction
        sql += ", pg_catalog.set_config('transaction_timeout', '0', false)";
    const Result result = exec(sql, wait);
    // Poolers make up the process id that they announce to us.
    if (result.integer(0, 0) != backend_pid())
        throw Error{Code::member_not_ready,
                    fmt::format("a connection pooler answers at {}", description()),
                    {.hint = "let the member's url point at the server itself (usually port 5432), "
                             "not at the pooler"}};
}

bool Connection::local_socket() const
{
    return local_socket_of(state_->conn.get());
}

} // namespace tidemark::engine::postgres
