#pragma once

#include "app/demo/lab_cluster.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/roles.h"
#include "engine/postgres/session.h"

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace tidemark::test {

/// A running throwaway cluster with the role that `init --print-sql` makes; everything but the
/// preparation of a test runs as that role.
class Member {
public:
    explicit Member(const std::string& name, std::map<std::string, std::string> settings = {},
                    bool tcp = false)
        : cluster_({.name = name,
                    .folder = folder_.path(),
                    .settings = std::move(settings),
                    .wal_segment_mb = 1,
                    .tcp = tcp})
    {
        cluster_.start();
        auto sql = admin();
        engine::postgres::apply_sql(sql, {.version_num = sql.server_version()});
    }

    app::LabCluster& cluster() { return cluster_; }
    const app::LabFolder& folder() const { return folder_; }

    std::string url(const std::string& database = "postgres") const
    {
        return "postgresql:///" + database + "?host=" + cluster_.socket_dir().string() +
               "&port=" + std::to_string(cluster_.port()) + "&user=tidemark";
    }

    engine::MemberConfig config(const std::string& slot = "tidemark_test") const
    {
        return {.name = cluster_.name(), .url = url(), .data_dir = {}, .slot = slot};
    }

    engine::postgres::Connection admin(const std::string& database = "postgres") const
    {
        return engine::postgres::Connection::open(cluster_.url(database));
    }

    std::unique_ptr<engine::postgres::PostgresSession>
    session(const std::string& slot = "tidemark_test") const
    {
        return engine::postgres::PostgresSession::connect(
            config(slot), [](const auto&, const auto&) -> std::unique_ptr<engine::BackupSource> {
                throw std::logic_error("no backup in this test");
            });
    }

    /// Writes about `kilobytes` of log.
    void noise(int kilobytes) const
    {
        auto sql = admin();
        for (; kilobytes > 0; kilobytes -= 64)
            sql.exec("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 65536))");
        sql.exec("SELECT pg_logical_emit_message(true, 'noise', 'end')");
    }

private:
    app::LabFolder folder_;
    app::LabCluster cluster_;
};

} // namespace tidemark::test
