#pragma once

#include "base/bytes.h"
#include "model/log_position.h"

#include <functional>

namespace tidemark::job {

/// Stored log that a server is about to send once more, and what it is to be like.
class KnownLog {
public:
    KnownLog() = default;
    /// `as_replayed` tells the same bytes as a server has them that goes on from a restore of ours
    /// (log_patches.h); asked only where they differ.
    KnownLog(model::Offset from, base::Bytes bytes,
             std::function<base::Bytes(const base::Bytes&)> as_replayed);

    /// Is what the server sends the log we know, as far as we know it?
    bool holds(model::Offset at, base::ByteView sent);

private:
    model::Offset from_ = 0;
    base::Bytes bytes_;
    base::Bytes replayed_; ///< empty: not asked
    std::function<base::Bytes(const base::Bytes&)> as_replayed_;
};

} // namespace tidemark::job
