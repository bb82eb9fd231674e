#include "engine/decision_query.h"

#include <fmt/format.h>

namespace tidemark::engine {

std::string sql_literal(std::string_view text)
{
    std::string out = "E'";
    for (char c : text) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
}

std::string decision_table_query(std::string_view schema, std::string_view table,
                                 std::string_view column)
{
    return fmt::format(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a "
        "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {} AND c.relname = {} AND a.attname = {} AND a.attnum > 0 "
        "AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND a.atttypid < 16384)::text",
        sql_literal(schema), sql_literal(table), sql_literal(column));
}

} // namespace tidemark::engine
