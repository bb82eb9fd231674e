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

/// The data directory of a server at work, as a backup of one's own would copy it: servers that
/// npm provides come without pg_basebackup.
void copy_running(const LabCluster& primary, const fs::path& to)
{
    bool renamed = primary.install().major >= 15; // pg_start_backup became pg_backup_start
    auto session = Connection::open(primary.url());
    session.exec(renamed ? "SELECT pg_backup_start('standby', true)"
                         : "SELECT pg_start_backup('standby', true, false)");
    // cp reports what vanished under its hands, with 1; recovery repairs it.
    auto copied = base::run({"cp", "--archive", primary.data_dir().string(), to.string()},
                            {.deadline = 120s});
    auto label = session.exec(renamed ? "SELECT labelfile FROM pg_backup_stop(false)"
                                      : "SELECT labelfile FROM pg_stop_backup(false, false)");
    if (!fs::exists(to / "PG_VERSION"))
        throw base::Error{base::Code::failed, "no copy of " + primary.name() + ": " + copied.err};
    for (const auto* mine : {"postmaster.pid", "postmaster.opts"})
        fs::remove(to / mine);
    for (const auto& slot : fs::directory_iterator(to / "pg_replslot"))
        fs::remove_all(slot.path());
    base::replace_file(to / "backup_label", base::as_bytes(label.get(0, 0)));
    app::give_to_lab_user(to / "backup_label");
}

} // namespace

void become_standby(LabCluster& standby, const LabCluster& primary)
{
    fs::remove_all(standby.data_dir());
    copy_running(primary, standby.data_dir());
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
