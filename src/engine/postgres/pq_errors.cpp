#include "engine/postgres/pq_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace tidemark::engine::postgres {

namespace {

using base::Code;

bool is_state(std::string_view text)
{
    return text.size() == 5 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
}

bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

/// The address in `no pg_hba.conf entry for host "10.1.2.3", user ...`.
std::string quoted_host(std::string_view text)
{
    const std::string_view lead = "host \"";
    const std::size_t at = text.find(lead);
    if (at == text.npos) return {};
    const std::size_t from = at + lead.size();
    const std::size_t end = text.find('"', from);
    return end == text.npos ? std::string{} : std::string(text.substr(from, end - from));
}

SqlError unreachable(const ConnectFailure& f, const ServerMessage& m, std::string message,
                     std::string hint, bool transient)
{
    return {Code::member_unreachable,
            fmt::format("{} at {}", message, f.where),
            {.hint = std::move(hint), .transient = transient},
            m.sqlstate};
}

SqlError authorization_error(const ConnectFailure& f, const ServerMessage& m)
{
    if (m.routine == "ClientAuthentication" || has(m.primary, "pg_hba.conf")) {
        std::string host = quoted_host(m.primary);
        if (host.empty()) host = f.local_socket ? "[local]" : "ADDRESS-OF-THIS-HOST";
        const bool encrypted = has(m.primary, "SSL encryption") || has(m.primary, "SSL on");
        return unreachable(
            f, m, m.primary,
            fmt::format("add to the server's pg_hba.conf, above any line that rejects it, and "
                        "reload it: {}",
                        hba_line(f.replication, f.dbname, f.user, host, encrypted)),
            false);
    }
    if (m.routine == "InitializeSessionUserId" || has(m.primary, "does not exist") ||
        has(m.primary, "not permitted to log in"))
        return unreachable(f, m, m.primary,
                           "create the role with the statements of: tidemark init --print-sql URL",
                           false);
    return unreachable(f, m, m.primary,
                       "the system user must match the role, or pg_hba.conf needs another method "
                       "than peer or ident for it",
                       false);
}

std::optional<SqlError> server_error(const ConnectFailure& f, const ServerMessage& m)
{
    const std::string& state = m.sqlstate;
    // A session begins with files of its own, which a full disk keeps from being written (XX000).
    if (state == "53100" || (!state.empty() && has(m.primary, "No space left on device")))
        return SqlError{Code::out_of_space,
                        fmt::format("{} at {}", m.primary, f.where),
                        {.hint = "free some space on the server's disk and run the same command "
                                 "again",
                         .transient = true},
                        state};
    if (state == "28P01")
        return unreachable(f, m, m.primary,
                           fmt::format("put the right password of role {} into ~/.pgpass (mode "
                                       "0600) or the file that passfile= in the url names",
                                       f.user),
                           false);
    if (state == "28000") return authorization_error(f, m);
    if (state == "57P03")
        return unreachable(f, m, m.primary, "the server is starting or stopping; try again soon",
                           true);
    if (state == "53300")
        return unreachable(f, m, m.primary,
                           f.replication ? "raise max_wal_senders, or end another wal sender"
                                         : "raise max_connections, or end another session",
                           true);
    if (state == "3D000")
        return unreachable(f, m, m.primary,
                           "name an existing database in the member's url, "
                           "e.g. .../postgres",
                           false);
    if (state == "42501" && f.replication)
        return SqlError{Code::member_not_ready,
                        fmt::format("{} at {}", m.primary, f.where),
                        {.hint = fmt::format("run on the server: ALTER ROLE {} REPLICATION;",
                                             Connection::identifier(f.user))},
                        state};
    if (state == "08P01" || has(m.primary, "unsupported startup parameter"))
        return SqlError{
            Code::member_not_ready,
            fmt::format("{} at {}: a connection pooler answers there", m.primary, f.where),
            {.hint = "let the member's url point at the server itself (usually port "
                     "5432), not at the pooler"},
            state};
    return std::nullopt;
}

SqlError client_error(const ConnectFailure& f, const ServerMessage& m)
{
    const std::string& text = m.primary;
    if (has(text, "no password supplied"))
        return unreachable(f, m, "the server asks for a password, and none is known",
                           fmt::format("put the password of role {} into ~/.pgpass (mode 0600) or "
                                       "the file that passfile= in the url names",
                                       f.user),
                           false);
    if (has(text, "Connection refused") || has(text, "No such file or directory"))
        if (!has(text, "certificate") && !has(text, "root.crt"))
            return unreachable(f, m, text,
                               "is the server running, and do host and port in the member's url "
                               "fit its listen_addresses, unix_socket_directories and port?",
                               true);
    if (has(text, "could not translate host name"))
        return unreachable(f, m, text, "check the host name in the member's url, and DNS", true);
    if (has(text, "SSL") || has(text, "certificate") || has(text, "sslmode"))
        return unreachable(f, m, text,
                           "check sslmode, sslrootcert, sslcert and sslkey in the member's url; "
                           "the server's certificate must name the host of the url",
                           false);
    return unreachable(f, m, text, "check that the server runs and the network lets us through",
                       true);
}

} // namespace

ServerMessage parse_verbose(std::string_view text)
{
    ServerMessage out;
    const std::size_t location = text.find("\nLOCATION:");
    if (location != text.npos) {
        std::string_view rest = text.substr(location + 10);
        while (!rest.empty() && rest.front() == ' ')
            rest.remove_prefix(1);
        out.routine = std::string(rest.substr(0, rest.find_first_of(",\n")));
        text = text.substr(0, location);
    }
    // "FATAL:  28P01: password authentication failed ...": the last such state counts, libpq lists
    // every attempt (with and without TLS, one per host).
    std::size_t begin = 0;
    for (std::size_t at = text.find(":  "); at != text.npos; at = text.find(":  ", at + 1)) {
        const std::string_view state = text.substr(at + 3, 5);
        if (is_state(state) && text.substr(at + 8, 2) == ": ") {
            out.sqlstate = std::string(state);
            begin = at + 10;
        }
    }
    text.remove_prefix(begin);
    for (char c : text)
        out.primary += c == '\n' || c == '\t' ? ' ' : c;
    while (!out.primary.empty() && out.primary.back() == ' ')
        out.primary.pop_back();
    return out;
}

std::string hba_line(bool replication, std::string_view dbname, std::string_view user,
                     std::string_view host, bool encrypted)
{
    const std::string database = replication ? "replication" : Connection::identifier(dbname);
    if (host == "[local]" || host.empty())
        return fmt::format("local {} {} peer", database, Connection::identifier(user));
    const bool address = host.find_first_not_of("0123456789abcdefABCDEF.:") == host.npos;
    const std::string mask = !address ? "" : host.find(':') == host.npos ? "/32" : "/128";
    return fmt::format("{} {} {} {}{} scram-sha-256", encrypted ? "hostssl" : "host", database,
                       Connection::identifier(user), host, mask);
}

SqlError connect_error(const ConnectFailure& failure)
{
    const ServerMessage message = parse_verbose(failure.text);
    if (auto known = server_error(failure, message)) return *known;
    if (message.sqlstate.empty()) return client_error(failure, message);
    return unreachable(failure, message,
                       fmt::format("{} (SQLSTATE {})", message.primary, message.sqlstate),
                       "see the server's log", message.sqlstate.starts_with("53"));
}

SqlError statement_error(const StatementFailure& f)
{
    std::string message = fmt::format("{} says: {}", f.where, f.primary);
    if (!f.detail.empty()) message += fmt::format(" ({})", f.detail);
    const std::string& state = f.sqlstate;
    if (state.starts_with("08") || state == "57P01" || state == "57P02" || state == "57P03")
        return {Code::member_unreachable,
                std::move(message),
                {.hint = "the server is stopping, restarting or ended our session; try again soon",
                 .transient = true},
                state};
    if (state == "42501")
        return {
            Code::member_not_ready,
            std::move(message),
            {.hint = fmt::format("role {} lacks a right; tidemark init --print-sql URL prints what "
                                 "it needs",
                                 f.user)},
            state};
    if (state == "53100")
        return {Code::out_of_space,
                std::move(message),
                {.hint = "free some space on the server's disk and run the same command again",
                 .transient = true},
                state};
    const bool transient = state.starts_with("53") || state.starts_with("40");
    return {Code::failed, std::move(message), {.hint = f.hint, .transient = transient}, state};
}

SqlError lost_error(const std::string& where, const std::string& why)
{
    return {Code::member_unreachable,
            fmt::format("the connection to {} is lost: {}", where, why),
            {.hint = "check that the server runs and the network lets us through; what was under "
                     "way can be repeated",
             .transient = true},
            {}};
}

} // namespace tidemark::engine::postgres
