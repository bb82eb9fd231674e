#pragma once

#include "base/clock.h"

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
};

/// A group as the configuration describes it (design.md 6).
struct GroupSpec {
    std::string name;
    std::string repository = "main";
    std::vector<MemberSpec> members;
    std::string full = "daily 02:00";
    std::string incr = "off";
    std::string zone = "UTC";
    base::Duration mark_every = std::chrono::minutes{15};
    base::Duration mark_wait = std::chrono::seconds{10}; ///< give the mark up after this long
    std::string mark_prefix;
    int keep_days = 14;
    std::uint64_t bytes_per_second = 0; ///< read from each member; 0 = unlimited
};

struct RepositorySpec {
    std::string name = "main";
    std::string url;           ///< path or file:// URL
    int compression_level = 2; ///< zstd; 0 stores bytes as they are
};

} // namespace tidemark::model
