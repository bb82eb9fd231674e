#pragma once

#include "repo/repository.h"
#include "repo/view.h"

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::repo {

enum class FaultKind : std::uint8_t {
    missing = 1,  ///< named by another object and not there
    damaged,      ///< there, but its bytes are not those that were written
    unreadable,   ///< cannot be parsed
    broken_chain, ///< a commit object does not follow its predecessor, or a number is absent
    log_gap,      ///< log missing between two marks of one chain
    mismatch,     ///< an index that does not describe its piece, overlapping pieces that differ
};

/// One thing that is wrong, and what it costs.
struct Fault {
    FaultKind kind = FaultKind::missing;
    std::string object;                 ///< key; for a gap the member's log prefix
    std::string text;                   ///< one line for people
    std::string member;                 ///< empty for objects of the group
    std::vector<model::Number> backups; ///< of `member`: not restorable because of it
    std::vector<model::Number> marks;   ///< no longer restorable because of it (alone)
};

struct VerifyOptions {
    bool data = true;    ///< read packs, page maps and pieces, not only look for them
    bool unpack = false; ///< also decompress every pack frame and check its plain bytes
    unsigned workers = 2;
};

struct VerifyReport {
    std::vector<Fault> faults;
    /// What is worth knowing and costs nothing: indexes that will be made again, healed gaps,
    /// leftovers of runs that died.
    std::vector<std::string> notes;
    std::uint64_t objects = 0; ///< looked at
    std::uint64_t bytes = 0;   ///< read and hashed
    std::uint64_t marks = 0;   ///< that were placed and not removed: damaged and lost ones count
    std::uint64_t restorable_marks = 0;
    bool ok() const { return faults.empty(); }
};

/// `progress(done, total)`: stored bytes; called from several threads.
using VerifyProgress = std::function<void(std::uint64_t, std::uint64_t)>;

/// Checks that every object is there and holds the bytes that were written, that commit objects
/// follow each other and that the log has no gap. Memory does not grow with the data. Errors are
/// only those that keep it from looking: repository_unreachable, repository_newer, cancelled.
VerifyReport verify(const Repository& repository, const std::string& group,
                    const VerifyOptions& options = {}, const VerifyProgress& progress = {},
                    std::stop_token stop = {});

} // namespace tidemark::repo
