#include "job/decision_rows.h"

#include "base/bytes.h"
#include "base/error.h"
#include "engine/decision_query.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// So many ids in one question.
constexpr std::size_t kBatch = 1000;

std::string identifier(const std::string& name)
{
    std::string out = "\"";
    for (char c : name) {
        if (c == '"') out += c;
        out += c;
    }
    return out + "\"";
}

std::vector<std::string> texts(const std::optional<std::string>& json)
{
    if (!json) return {};
    return nlohmann::json::parse(*json).get<std::vector<std::string>>();
}

/// Other bytes mean something else in every encoding, and a gid in the log is nothing but bytes.
bool is_ascii(const std::string& id)
{
    return std::all_of(id.begin(), id.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

class Asker {
public:
    Asker(engine::RestoreTarget& target, const model::TableColumn& where, std::stop_token stop)
        : target_(target), where_(where), stop_(std::move(stop))
    {
    }

    std::vector<std::string> databases_with_table()
    {
        std::vector<std::string> out;
        auto all = texts(
            target_.ask("postgres",
                        fmt::format("SELECT pg_catalog.json_agg(d.datname)::text FROM ({}) AS d",
                                    engine::kDatabasesQuery),
                        stop_));
        for (auto& database : all)
            if (has_table(database)) out.push_back(std::move(database));
        return out;
    }

    void collect(const std::string& database, const std::vector<std::string>& ids,
                 std::set<std::string>& found)
    {
        std::string list;
        for (const auto& id : ids)
            list += (list.empty() ? "" : ",") + engine::sql_literal(id);
        auto sql = fmt::format("SELECT pg_catalog.json_agg(DISTINCT t.{0}::text)::text FROM {1} "
                               "t WHERE t.{0}::text = ANY (ARRAY[{2}]::text[])",
                               identifier(where_.column), table(), list);
        for (auto& id : texts(target_.ask(database, sql, stop_)))
            found.insert(std::move(id));
    }

    /// By their bytes: as they stand in the database, and in UTF-8.
    void collect_bytes(const std::string& database, const std::vector<std::string>& ids,
                       std::set<std::string>& found)
    {
        std::string list;
        for (const auto& id : ids)
            list += (list.empty() ? "" : ",") +
                    engine::sql_literal("\\x" + base::to_hex(base::as_bytes(id)));
        auto column = identifier(where_.column);
        auto sql = fmt::format(
            "SELECT pg_catalog.json_agg(DISTINCT pg_catalog.encode(x.id, 'hex'))::text FROM ("
            "SELECT pg_catalog.convert_to({0}::text, pg_catalog.getdatabaseencoding()) FROM {1} "
            "UNION ALL SELECT pg_catalog.convert_to({0}::text, 'UTF8') FROM {1} "
            "WHERE pg_catalog.getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII')) AS x(id) "
            "WHERE x.id = ANY (ARRAY[{2}]::bytea[])",
            column, table(), list);
        for (const auto& hex : texts(target_.ask(database, sql, stop_))) {
            if (auto bytes = base::from_hex(hex)) found.emplace(base::as_text(*bytes));
        }
    }

private:
    std::string table() const { return identifier(where_.schema) + "." + identifier(where_.table); }

    bool has_table(const std::string& database)
    {
        auto sql = engine::decision_table_query(where_.schema, where_.table, where_.column);
        return target_.ask(database, sql, stop_) == "true";
    }

    engine::RestoreTarget& target_;
    const model::TableColumn& where_;
    std::stop_token stop_;
};

} // namespace

std::set<std::string> read_decisions(engine::RestoreTarget& target, const model::TableColumn& where,
                                     const std::set<std::string>& ids, std::stop_token stop)
{
    auto name = fmt::format("{}.{}.{}", where.schema, where.table, where.column);
    try {
        Asker asker(target, where, std::move(stop));
        auto databases = asker.databases_with_table();
        if (databases.empty())
            throw Error{Code::not_restorable,
                        "no database of this member has a table with a column of that name and a "
                        "built-in type"};
        std::set<std::string> found;
        std::vector<std::string> plain, other;
        auto ask = [&] {
            for (const auto& database : databases) {
                if (!plain.empty()) asker.collect(database, plain, found);
                if (!other.empty()) asker.collect_bytes(database, other, found);
            }
            plain.clear();
            other.clear();
        };
        for (const auto& id : ids) {
            (is_ascii(id) ? plain : other).push_back(id);
            if (plain.size() + other.size() == kBatch) ask();
        }
        ask();
        return found;
    } catch (const Error& error) {
        if (error.code() == Code::cancelled) throw;
        throw Error{Code::not_restorable,
                    fmt::format("the decision table {} cannot be read: {}", name, error.what()),
                    {.hint = "nothing was opened; --in-doubt keep restores without it and leaves "
                             "everything in doubt prepared"}};
    }
}

} // namespace tidemark::job
