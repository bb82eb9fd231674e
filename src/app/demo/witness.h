#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace tidemark::app {

/// Monotonic time of this machine; comparable between its processes.
using Instant = std::chrono::steady_clock::time_point;

enum class Outcome : std::uint8_t {
    running,
    committed,   ///< every participant acknowledged its commit
    rolled_back, ///< it can be present nowhere, ever
    unknown,     ///< the client does not know, or has left it prepared
};

/// One attempt to move money, as its client saw it.
struct Transfer {
    std::uint64_t id = 0;
    std::string gid = {};  ///< global id, without a branch's suffix; empty when it was not prepared
    int participants = 0;  ///< rows it writes, one per branch
    Instant begun = {};    ///< before its first statement was sent
    Instant finished = {}; ///< after its last answer arrived
    Outcome outcome = Outcome::running;
};

/// What happened, remembered outside of the databases. All members may be called by several
/// threads.
class Witness {
public:
    /// Returns the new transfer's id: 1, 2, 3, ...
    std::uint64_t begin(std::string gid, int participants);
    void finish(std::uint64_t id, Outcome outcome);

    /// A copy; transfers[i].id == i + 1.
    std::vector<Transfer> transfers() const;
    std::uint64_t size() const;

    /// One line each: id, gid, participants, begun and finished in ns of the monotonic clock,
    /// outcome.
    void save(const std::filesystem::path& path) const;

private:
    mutable std::mutex mutex_;
    std::vector<Transfer> transfers_;
};

std::string outcome_name(Outcome outcome);

} // namespace tidemark::app
