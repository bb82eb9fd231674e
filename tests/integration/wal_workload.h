#pragma once

#include "app/demo/lab_cluster.h"
#include "model/log_position.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::test {

/// What the server said while the log was written.
struct WrittenLog {
    struct Point {
        std::string name;
        model::Offset end = 0; ///< as pg_create_restore_point returned it
    };
    std::vector<Point> points;
    model::Offset end = 0; ///< flushed up to here
};

/// Makes a running server write every kind of record that its index methods, transactions with and
/// without subtransactions and two phases, compressed images, large messages and log switches
/// bring, from several sessions. The same statements for the same seed.
WrittenLog write_log(app::LabCluster& cluster, std::uint32_t seed);

/// Everything written so far is on disk up to the returned position.
model::Offset flush_log(app::LabCluster& cluster);

} // namespace tidemark::test
