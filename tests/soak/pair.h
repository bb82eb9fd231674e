#pragma once

#include "app/demo/lab_cluster.h"

#include <filesystem>
#include <memory>
#include <string>

namespace tidemark::support {

/// A primary and its streaming standby, which has all that was acknowledged (synchronous).
class Pair {
public:
    Pair(const std::string& name, const std::filesystem::path& folder);

    /// One url of both, whichever is the primary.
    std::string url() const;
    /// The same, for clients that write.
    std::string writers_url() const;
    /// The primary is killed, and the standby takes over.
    void fail_over();
    /// The one that was killed streams from the other.
    void rejoin();
    void destroy();

private:
    void expect_standby();

    std::unique_ptr<app::LabCluster> primary_, standby_;
    std::string url_; ///< of both, in the order that they were made in
};

} // namespace tidemark::support
