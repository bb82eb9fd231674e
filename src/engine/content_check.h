#pragma once

#include "model/file_entry.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::engine {

/// How many faults are reported one by one.
inline constexpr std::size_t kMaxFaults = 100;

/// What the database's own checker said of a running server.
struct ContentCheck {
    bool ran = false;
    std::string text = {};                ///< what was looked at; or why nothing was
    std::vector<std::string> faults = {}; ///< the first kMaxFaults, a line each
    std::uint64_t fault_count = 0;
};

/// Every page of a stopped server's files against its checksum.
struct PageCheck {
    bool has_checksums = false; ///< false: the pages carry none, nothing was checked
    std::uint64_t files = 0;
    std::uint64_t pages = 0;
    std::vector<model::DamagedPage> damaged = {}; ///< the first kMaxFaults
    std::uint64_t damaged_count = 0;
};

} // namespace tidemark::engine
