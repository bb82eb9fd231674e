#include "engine/postgres/conf_file.h"
#include "engine/postgres/restored_server.h"

#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

/// Of the database that is asked.
constexpr const char* kSubscriptions =
    "SELECT subname, subenabled FROM pg_catalog.pg_subscription WHERE subdbid = (SELECT oid FROM "
    "pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY subname";

} // namespace

std::vector<std::string> RestoredServer::disable_subscriptions() const
{
    close_opened_databases();
    std::vector<std::string> disabled;
    auto ours = disabled_by_us();
    for (const auto& database : databases_with_subscriptions()) {
        in_database(database, [&](Connection& connection) {
            auto rows = connection.exec(kSubscriptions);
            for (int i = 0; i < rows.rows(); ++i) {
                disabled.push_back(fmt::format("{}.{}", database.name, rows.get(i, 0)));
                if (rows.boolean(i, 1) == false) continue;
                ours.emplace(database.name, rows.get(i, 0));
                remember_disabled(ours);
                define_unseen(connection, fmt::format("ALTER SUBSCRIPTION {} DISABLE",
                                                      Connection::identifier(rows.get(i, 0))));
            }
        });
    }
    return disabled;
}

RestoredServer::Enabled RestoredServer::enable_subscriptions() const
{
    Enabled out;
    const auto ours = disabled_by_us();
    if (ours.empty()) return out;
    Subscriptions left;
    close_opened_databases();
    for (const auto& database : databases_with_subscriptions()) {
        in_database(database, [&](Connection& connection) {
            auto rows = connection.exec(kSubscriptions);
            for (int i = 0; i < rows.rows(); ++i) {
                std::pair one{database.name, std::string(rows.get(i, 0))};
                if (!ours.contains(one)) continue;
                auto name = fmt::format("{}.{}", one.first, one.second);
                try {
                    define_unseen(connection, fmt::format("ALTER SUBSCRIPTION {} ENABLE",
                                                          Connection::identifier(rows.get(i, 0))));
                    out.now.push_back(name);
                } catch (const SqlError& error) {
                    out.failed.push_back(fmt::format("{}: {}", name, error.what()));
                    left.insert(one);
                }
            }
        });
    }
    remember_disabled(left);
    return out;
}

RestoredServer::Subscriptions RestoredServer::disabled_by_us() const
{
    Subscriptions out;
    auto text = journal_.read(kDisabledSubscriptions).value_or("");
    std::string database;
    for (const auto& line : split_lines(text)) {
        auto parsed = parse_conf_line(line);
        if (!parsed) continue;
        if (parsed->name == "database") database = parsed->value;
        if (parsed->name == "subscription") out.emplace(database, parsed->value);
    }
    return out;
}

void RestoredServer::remember_disabled(const Subscriptions& all) const
{
    if (all.empty()) return journal_.remove(kDisabledSubscriptions);
    std::string text;
    for (const auto& [database, subscription] : all)
        text += conf_line("database", database) + conf_line("subscription", subscription);
    journal_.write(kDisabledSubscriptions, text);
}

std::vector<RestoredServer::Database> RestoredServer::databases_with_subscriptions() const
{
    auto rows = connect().exec("SELECT datname, datallowconn FROM pg_catalog.pg_database "
                               "WHERE oid IN (SELECT subdbid FROM pg_catalog.pg_subscription)");
    std::vector<Database> out;
    for (int i = 0; i < rows.rows(); ++i) {
        out.push_back({std::string(rows.get(i, 0)), rows.boolean(i, 1).value_or(true)});
    }
    return out;
}

} // namespace tidemark::engine::postgres
