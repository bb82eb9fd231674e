#pragma once

#include "base/clock.h"
#include "model/objective.h"
#include "model/schedule.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// A member as the configuration describes it.
struct MemberSpec {
    std::string name;
    std::string url; ///< libpq connection string; may hold a password: never print it unredacted
    std::optional<std::filesystem::path> data_dir; ///< only where the files can be read directly
    std::string gid_pattern = "identical";
    /// More servers of the member: its standbys, one of which may be the primary tomorrow. `url`
    /// may name several, too.
    std::vector<std::string> more_urls = {};
    /// A standby that base backups are read from, to spare the primary.
    std::optional<std::string> backup_from = {};
    /// Where its coordinator, which commits its own part in one phase, leaves its decisions:
    /// "schema.table.column", or "none"; empty: there is no such coordinator.
    std::string decision = {};
};

/// What to do about log that our slot holds back at a server. Shares are of the slot's bound or of
/// the disk's free room, whichever is nearer to its end.
struct LogGuard {
    double warn = 0.5;
    std::optional<double> drop = 0.9; ///< drop the slot, and break the chain; absent: never
};

/// A group as the configuration describes it (docs/guide/configuration.md).
struct GroupSpec {
    std::string name;
    std::string repository = "main";
    std::vector<MemberSpec> members;
    Schedule full = {.every = Schedule::Every::day, .at = std::chrono::hours{2}};
    std::string zone = "UTC"; ///< of the schedules; known to the system
    base::Duration mark_every = std::chrono::minutes{15};
    base::Duration mark_wait = std::chrono::seconds{10}; ///< give the mark up after this long
    std::string mark_prefix;
    int keep_days = 14;
    LogGuard log_guard = {};
    std::vector<std::string> on_failure = {}; ///< argument array; empty: nobody is told
    std::uint64_t bytes_per_second = 0;       ///< read from each member; 0 = unlimited
    Objective objective = {};
};

struct RepositorySpec {
    std::string name = "main";
    std::string url;           ///< path or file:// URL
    int compression_level = 2; ///< zstd; 0 stores bytes as they are
};

} // namespace tidemark::model
