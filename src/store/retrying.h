#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "store/storage.h"

#include <functional>
#include <memory>
#include <stop_token>

namespace tidemark::store {

struct RetryOptions {
    base::Duration first_delay = std::chrono::milliseconds{100};
    base::Duration longest_delay = std::chrono::seconds{10};
    /// No new attempt starts later than this after the first.
    base::Duration deadline = std::chrono::minutes{2};
    /// How to wait; empty waits really, until `stop`.
    std::function<void(base::Duration)> sleep = {};
    std::stop_token stop = {}; ///< then no further attempt; the last error is thrown
};

/// Repeats what failed with a transient Error, with growing and jittered pauses: create, open,
/// stat, list, remove, now, and reads, which go on where they stopped. Writers pass through: the
/// bytes are gone, and a repeated commit could not tell its own object from another's, so whoever
/// owns the data begins again. After a repetition remove() may answer false for what its first
/// attempt removed. `clock` and `random` must outlive the store and its sources.
std::unique_ptr<Storage> make_retrying(std::shared_ptr<Storage> inner, base::Clock& clock,
                                       base::Random& random, RetryOptions options = {});

} // namespace tidemark::store
