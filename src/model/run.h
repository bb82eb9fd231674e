#pragma once

#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

struct RunError {
    std::string code; ///< base::code_name
    std::string message;
    std::string hint;
    friend bool operator==(const RunError&, const RunError&) = default;
};

/// What retention did in a run.
struct RunRetention {
    std::uint64_t removed = 0;       ///< objects
    std::uint64_t removed_bytes = 0; ///< as stored
    std::uint64_t joined = 0;        ///< small log pieces that a larger one stands for now
    std::uint64_t waiting = 0;       ///< objects named by a tombstone and still there
    friend bool operator==(const RunRetention&, const RunRetention&) = default;
};

/// One run of a command, as history keeps it.
struct Run {
    std::string group;
    std::string command; ///< "backup", "log", "mark", "restore", ...
    std::string host;
    base::Time started;
    base::Time ended;
    int exit_code = 0;
    std::optional<RunError> error;
    /// Nobody saw it end: the run after it found its trace. Then `ended` is its last sign of life.
    bool broken_off = false;
    std::vector<std::string> warnings;
    std::optional<std::uint64_t> set;  ///< number of the backup set it closed
    std::optional<std::uint64_t> mark; ///< number of the mark it placed
    /// Absent: it was not due, or it failed (then a warning says so).
    std::optional<RunRetention> retention = {};
    friend bool operator==(const Run&, const Run&) = default;
};

} // namespace tidemark::model
