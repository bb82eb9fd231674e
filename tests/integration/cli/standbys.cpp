#include "cli/standbys.h"

#include "base/error.h"
#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>

namespace tidemark::support {

namespace fs = std::filesystem;
using app::LabCluster;
using engine::postgres::Connection;
using namespace std::chrono_literals;

namespace {

void configure_standby(LabCluster& standby, const LabCluster& primary)
{
    base::replace_file(standby.data_dir() / "standby.signal", {});
    app::give_to_lab_user(standby.data_dir() / "standby.signal");
    standby.configure(
        {{"unix_socket_directories", standby.socket_dir().string()},
         {"port", std::to_string(standby.port())},
         {"cluster_name", "tidemark-lab-" + standby.name()},
         {"wal_retrieve_retry_interval", "200ms"},
         {"primary_conninfo",
          fmt::format("host={} port={} user=postgres application_name={}",
                      primary.socket_dir().string(), primary.port(), standby.name())}});
}

} // namespace

void become_standby(LabCluster& standby, const LabCluster& primary)
{
    fs::remove_all(standby.data_dir());
    auto copied =
        base::run({(primary.install().bin / "pg_basebackup").string(), "--pgdata",
                   standby.data_dir().string(), "--host", primary.socket_dir().string(), "--port",
                   std::to_string(primary.port()), "--username", "postgres", "--checkpoint", "fast",
                   "--no-sync"},
                  {.process = {.user = app::lab_user(), .directory = "/"}, .deadline = 120s});
    if (!copied.exit.success())
        throw base::Error{base::Code::failed, "pg_basebackup: " + copied.err};
    configure_standby(standby, primary);
    standby.start();
}

std::unique_ptr<LabCluster> new_standby(const std::string& name, const fs::path& folder,
                                        const LabCluster& primary)
{
    auto standby =
        std::make_unique<LabCluster>(app::LabClusterOptions{.name = name, .folder = folder});
    become_standby(*standby, primary);
    return standby;
}

void follow(LabCluster& old_primary, const LabCluster& primary)
{
    configure_standby(old_primary, primary);
    old_primary.start();
}

bool caught_up(const LabCluster& standby, const LabCluster& primary)
{
    auto there = ask(primary.url(), "SELECT pg_current_wal_flush_lsn()");
    return eventually([&] {
        return ask(standby.url(), "SELECT pg_last_wal_replay_lsn() >= '" + there + "'") == "t";
    });
}

std::string url_of(const std::vector<const LabCluster*>& clusters, const std::string& database)
{
    std::string hosts, ports;
    for (const auto* cluster : clusters) {
        hosts += (hosts.empty() ? "" : ",") + cluster->socket_dir().string();
        ports += (ports.empty() ? "" : ",") + std::to_string(cluster->port());
    }
    return fmt::format("postgresql:///{}?host={}&port={}&user=postgres", database, hosts, ports);
}

std::string ask(const std::string& url, const std::string& query)
{
    return std::string(Connection::open(url).exec(query).get(0, 0));
}

} // namespace tidemark::support
