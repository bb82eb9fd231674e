#pragma once

#include "engine/postgres/pq.h"

#include <string>
#include <string_view>

namespace tidemark::engine::postgres {

/// What the translation of a failed connection needs to know.
struct ConnectFailure {
    std::string text = {};  ///< libpq's message in verbose form
    std::string where = {}; ///< "orders-db:5432/postgres as tidemark"
    std::string user = {};
    std::string dbname = {};
    bool replication = false;
    bool local_socket = false;
};

/// libpq's verbose message taken apart.
struct ServerMessage {
    std::string sqlstate; ///< empty when libpq itself failed
    std::string primary;  ///< one line, without severity, state and source location
    std::string routine;  ///< server function that reported it; steady across languages
};

ServerMessage parse_verbose(std::string_view text);

/// The line that pg_hba.conf lacks. `host` is our address as the server sees it, or "[local]".
std::string hba_line(bool replication, std::string_view dbname, std::string_view user,
                     std::string_view host, bool encrypted);

SqlError connect_error(const ConnectFailure& failure);

/// Error of a statement that the server refused.
struct StatementFailure {
    std::string sqlstate = {};
    std::string primary = {};
    std::string detail = {};
    std::string hint = {};
    std::string where = {};
    std::string user = {};
};
SqlError statement_error(const StatementFailure& failure);

/// The connection went away or the server did not answer in time.
SqlError lost_error(const std::string& where, const std::string& why);

} // namespace tidemark::engine::postgres
