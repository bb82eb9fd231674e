#include "stream/throttle.h"

#include <algorithm>

namespace tidemark::stream {

Throttle::Throttle(Options options)
    : rate_(static_cast<double>(options.bytes_per_second)),
      burst_(options.burst != 0 ? static_cast<double>(options.burst) : rate_ / 2), tokens_(burst_)
{
}

std::chrono::microseconds Throttle::take(std::uint64_t bytes, TimePoint now)
{
    if (rate_ <= 0) return {};
    std::lock_guard lock(mutex_);
    // Threads read the clock before they come here, so `now` may lie a little before `last_`.
    if (last_ != TimePoint{} && now > last_) {
        std::chrono::duration<double> gone = now - last_;
        tokens_ = std::min(burst_, tokens_ + gone.count() * rate_);
    }
    last_ = std::max(last_, now);
    tokens_ -= static_cast<double>(bytes);
    if (tokens_ >= 0) return {};
    std::chrono::duration<double> wait(-tokens_ / rate_);
    return std::chrono::ceil<std::chrono::microseconds>(wait);
}

} // namespace tidemark::stream
