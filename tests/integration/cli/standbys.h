#pragma once

#include "app/demo/lab_cluster.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tidemark::support {

/// Makes `standby` (stopped) a streaming copy of `primary`, which runs, and starts it.
void become_standby(app::LabCluster& standby, const app::LabCluster& primary);

/// A cluster of its own folder beside the others, streaming from `primary`.
std::unique_ptr<app::LabCluster> new_standby(const std::string& name,
                                             const std::filesystem::path& folder,
                                             const app::LabCluster& primary);

/// Points a cleanly stopped old primary at the new one; it goes on from where it stopped.
void follow(app::LabCluster& old_primary, const app::LabCluster& primary);

/// The standby has replayed all that the primary has flushed by now.
bool caught_up(const app::LabCluster& standby, const app::LabCluster& primary);

/// One url that names several servers, as libpq takes it.
std::string url_of(const std::vector<const app::LabCluster*>& clusters,
                   const std::string& database = "postgres");

/// First value of a query's answer.
std::string ask(const std::string& url, const std::string& query);

} // namespace tidemark::support
