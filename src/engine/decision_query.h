#pragma once

#include <string>
#include <string_view>

namespace tidemark::engine {

/// A string literal that means the same whatever standard_conforming_strings says.
std::string sql_literal(std::string_view text);

/// Names of the databases that can be connected to, one text column.
inline constexpr const char* kDatabasesQuery =
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate";

/// Asks a database whether it has a real table with a column of a type of the server's own: asking
/// a view or somebody's type would run somebody's functions. One row, 'true' or 'false'. What a
/// check asks in production is what a restore asks later.
std::string decision_table_query(std::string_view schema, std::string_view table,
                                 std::string_view column);

} // namespace tidemark::engine
