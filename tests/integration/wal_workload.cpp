#include "integration/wal_workload.h"

#include "base/task_group.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <random>

namespace tidemark::test {

namespace {

using engine::postgres::Connection;

Connection connect(app::LabCluster& cluster)
{
    return Connection::open(cluster.url());
}

void create_tables(Connection& connection)
{
    connection.exec("create table public.things (id bigserial primary key, k int, body text, "
                    "tags int[], place point)");
    for (const char* how :
         {"hash (k)", "gin (tags)", "gist (place)", "spgist (place)", "brin (id)"})
        connection.exec(fmt::format("create index on public.things using {}", how));
    connection.exec("insert into public.things (k, body, tags, place) select i, repeat('x', i % "
                    "300), array[i, i % 7], point(i, i % 100) from generate_series(1, 3000) i");
}

/// Each statement of its own writes a transaction id of its own: `count` subtransactions.
std::string subtransactions(int count, std::uint32_t key)
{
    std::string sql;
    for (int i = 0; i < count; ++i)
        sql +=
            fmt::format("savepoint s; insert into public.things (k) values ({}); release s; ", key);
    return sql;
}

void prepare(Connection& connection, const std::string& gid, int subs, std::uint32_t key)
{
    connection.exec("begin");
    connection.exec(
        fmt::format("insert into public.things (k, body) values ({}, 'two-phase')", key));
    if (subs > 0) connection.exec(subtransactions(subs, key));
    connection.exec(fmt::format("prepare transaction '{}'", gid));
}

void finish(Connection& connection, const std::string& gid, bool commit)
{
    connection.exec(fmt::format("{} prepared '{}'", commit ? "commit" : "rollback", gid));
}

void message(Connection& connection, std::size_t bytes, bool transactional)
{
    connection.exec(fmt::format("select pg_logical_emit_message({}, 'tidemark', repeat('m', {}))",
                                transactional, bytes));
}

/// For statements that may fail: sessions deadlock, and not every build knows every setting.
void try_exec(Connection& connection, const std::string& sql)
{
    try {
        connection.exec(sql);
    } catch (const engine::postgres::SqlError&) {
        return;
    }
}

/// One session among several.
void session(app::LabCluster& cluster, std::uint32_t seed)
{
    std::mt19937 random(seed);
    Connection connection = connect(cluster);
    for (std::uint32_t i = 0; i < 60; ++i) {
        std::string gid = fmt::format("g-{}-{}", seed, i);
        switch (random() % 8) {
        case 0:
        case 1:
            prepare(connection, gid, static_cast<int>(random() % 4), i);
            finish(connection, gid, random() % 4 != 0);
            break;
        case 2:
            connection.exec(
                fmt::format("begin; insert into public.things (k) values ({}); rollback", i));
            break;
        case 3:
            message(connection, random() % 20000, random() % 2 == 0);
            break;
        case 4:
            try_exec(connection, fmt::format("delete from public.things where id % 97 = {}", i));
            break;
        default:
            try_exec(connection,
                     fmt::format("update public.things set body = repeat('y', {}), k = k + 1 "
                                 "where id % 61 = {}",
                                 random() % 500, i));
        }
    }
}

void catalogue_changes(Connection& connection)
{
    connection.exec("create table public.gone as select i from generate_series(1, 500) i");
    connection.exec("vacuum (freeze) public.gone");
    connection.exec("begin; truncate public.gone; rollback");
    connection.exec("begin; drop table public.gone; prepare transaction 'drops'");
    finish(connection, "drops", true);
    connection.exec("begin; create table public.never (i int); prepare transaction 'creates'");
    finish(connection, "creates", false);
    connection.exec("create database other");
    connection.exec("drop database other");
    connection.exec("vacuum full public.things");
    for (const char* method : {"pglz", "lz4", "zstd", "on"}) {
        try_exec(connection, fmt::format("set wal_compression = {}", method));
        connection.exec("checkpoint");
        connection.exec("update public.things set k = k + 1 where id % 50 = 3");
    }
}

WrittenLog::Point place_point(Connection& connection, const std::string& name)
{
    auto result = connection.exec_params("select pg_create_restore_point($1)", {name});
    return {.name = name, .end = *result.lsn(0, 0)};
}

} // namespace

model::Offset flush_log(app::LabCluster& cluster)
{
    Connection connection = connect(cluster);
    // A commit makes everything before it durable.
    connection.exec("set synchronous_commit = on");
    connection.exec("create table if not exists public.flushed (at timestamptz)");
    connection.exec("insert into public.flushed values (now())");
    return *connection.exec("select pg_current_wal_flush_lsn()").lsn(0, 0);
}

WrittenLog write_log(app::LabCluster& cluster, std::uint32_t seed)
{
    WrittenLog log;
    Connection connection = connect(cluster);
    create_tables(connection);
    log.points.push_back(place_point(connection, "first"));

    for (int subs : {0, 1, 100})
        for (bool commit : {true, false}) {
            std::string gid = fmt::format("subs-{}-{}", subs, commit);
            prepare(connection, gid, subs, 1);
            if (subs == 1) connection.exec("checkpoint");
            finish(connection, gid, commit);
        }
    catalogue_changes(connection);
    prepare(connection, std::string(199, 'g'), 0, 2); // the longest gid there is; stays

    base::TaskGroup sessions;
    for (std::uint32_t i = 0; i < 3; ++i)
        sessions.add([&cluster, i, seed](std::stop_token) { session(cluster, seed + i); });
    for (int i = 0; i < 30; ++i)
        log.points.push_back(place_point(connection, fmt::format("during-{}", i)));
    sessions.wait();

    for (std::size_t bytes : {std::size_t{100'000}, std::size_t{3'000'000}})
        message(connection, bytes, true);
    log.points.push_back(place_point(connection, std::string(63, 'n')));
    for (std::size_t bytes : {8100U, 8105U, 8110U, 8120U, 16000U}) {
        message(connection, bytes, false);
        connection.exec("select pg_switch_wal()");
        log.points.push_back(place_point(connection, fmt::format("switched-{}", bytes)));
    }
    log.end = flush_log(cluster);
    return log;
}

} // namespace tidemark::test
