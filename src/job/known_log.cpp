#include "job/known_log.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace tidemark::job {

KnownLog::KnownLog(model::Offset from, base::Bytes bytes,
                   std::function<base::Bytes(const base::Bytes&)> as_replayed)
    : from_(from), bytes_(std::move(bytes)), as_replayed_(std::move(as_replayed))
{
}

bool KnownLog::holds(model::Offset at, base::ByteView sent)
{
    CHECK(at >= from_);
    auto skip = static_cast<std::size_t>(at - from_);
    if (skip >= bytes_.size()) return true;
    auto count = std::min(sent.size(), bytes_.size() - skip);
    auto same = [&](base::ByteView known) {
        return std::ranges::equal(sent.first(count), known.subspan(skip, count));
    };
    if (same(bytes_)) return true;
    if (replayed_.empty()) replayed_ = as_replayed_(bytes_);
    return same(replayed_);
}

} // namespace tidemark::job
