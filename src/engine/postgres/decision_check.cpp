#include "engine/postgres/decision_check.h"

#include "engine/decision_query.h"
#include "engine/postgres/servers.h"
#include "model/decision_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::engine::postgres {

namespace {

using base::Error;
using std::chrono::steady_clock;

/// The one that the url names first: coordinators' tables are often there.
std::vector<std::string> databases(Connection& sql)
{
    std::vector<std::string> out;
    const Result rows = sql.exec(kDatabasesQuery);
    for (int i = 0; i < rows.rows(); ++i)
        out.emplace_back(rows.get(i, 0));
    const std::string first = sql.dbname();
    std::stable_partition(out.begin(), out.end(), [&](const auto& name) { return name == first; });
    return out;
}

struct Look {
    std::optional<std::string> found; ///< a database that has the column
    std::size_t asked = 0;            ///< that answered
    std::vector<std::string> unasked; ///< "shop (permission denied ...)"
};

Look look_for(const MemberConfig& member, const model::TableColumn& where,
              steady_clock::time_point deadline)
{
    auto left = [&] {
        auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
        return std::max(rest, std::chrono::milliseconds{1});
    };
    ConnectOptions options{.timeout = left()};
    Reached reached = reach_member(member, options);
    reached.sql.set_deadline(deadline);
    const std::string query = decision_table_query(where.schema, where.table, where.column);
    Look look;
    for (const std::string& database : databases(reached.sql)) {
        if (steady_clock::now() >= deadline) {
            look.unasked.push_back(database + " (no time was left)");
            continue;
        }
        try {
            options.dbname = database;
            options.timeout = left();
            Connection sql = Connection::open(reached.server.conninfo, options);
            sql.set_deadline(deadline);
            const bool found = sql.exec(query).get(0, 0) == "true";
            ++look.asked;
            if (!found) continue;
            look.found = database;
            return look;
        } catch (const Error& error) {
            look.unasked.push_back(fmt::format("{} ({})", database, error.message()));
        }
    }
    return look;
}

std::string first_of(const std::vector<std::string>& names)
{
    constexpr std::size_t kMost = 3;
    std::string out;
    for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
        out += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > kMost) out += fmt::format(" and {} more", names.size() - kMost);
    return out;
}

} // namespace

Check check_decision_table(const MemberConfig& member, const std::string& decision,
                           std::chrono::milliseconds patience)
{
    const std::string name = "decision_table";
    const std::string fix =
        "let decision be \"schema.table.column\" as they stand in the catalogue, a real table and "
        "a column of a built-in type; without it every restore that opens servers fails";
    const auto where = model::parse_table_column(decision);
    if (!where)
        return {name, CheckState::failed,
                fmt::format("decision = \"{}\" names no column", decision), fix};
    try {
        const Look look = look_for(member, *where, steady_clock::now() + patience);
        if (look.found)
            return {name,
                    CheckState::ok,
                    fmt::format("{} is in database {}", decision, *look.found),
                    {}};
        if (look.unasked.empty())
            return {
                name, CheckState::failed,
                fmt::format("no database of this member has a table with the column {}", decision),
                fix};
        return {name, CheckState::waiting,
                fmt::format("{} was not found in {} databases, and could not be looked for in {}",
                            decision, look.asked, first_of(look.unasked)),
                fmt::format("GRANT CONNECT ON DATABASE ... TO the role of the url (and a line in "
                            "pg_hba.conf) where the table is, or see that {} is there",
                            decision)};
    } catch (const Error& error) {
        return {name, CheckState::waiting,
                fmt::format("{} could not be looked for: {}", decision, error.message()),
                error.hint()};
    }
}

} // namespace tidemark::engine::postgres
