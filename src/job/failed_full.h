#pragma once

#include "base/clock.h"
#include "repo/view.h"

#include <cstdint>
#include <optional>

namespace tidemark::job {

/// Held from the first byte that a full backup reads until its set is closed. It counts the tries,
/// also of those that were killed.
inline constexpr const char* kFullActivity = "full";

/// Full backups that failed one after the other.
struct FailedFulls {
    std::uint64_t count = 0; ///< 0: the newest one went well, or one is being taken now
    base::Time since;        ///< when the last of them began, by the store's clock
    base::Time last;         ///< its last sign of life
    /// A mark that was placed after them can be restored: where the chain is broken now, it broke
    /// later, and none of them was to heal it.
    bool before_break = false;
    std::uint64_t before_running = 0; ///< while one is being taken: how many failed before it
};

FailedFulls read_failed_fulls(store::Storage& storage, const repo::RepositoryView& view);

enum class Need : std::uint8_t {
    schedule, ///< one is due, and the newest mark can be restored without it
    chain,    ///< there is none yet, or the chain broke: without it nothing new can be restored
};

/// Until when a scheduled run leaves it at marks: an hour after the first failure, then twice as
/// long each time, at most a day; where the chain needs one, from five minutes on and at most an
/// hour, and the first one since it broke at once. Nothing when one may be tried now.
std::optional<base::Time> paused_until(const FailedFulls& failed, Need need, base::Time now);

} // namespace tidemark::job
