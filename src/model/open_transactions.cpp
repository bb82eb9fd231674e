#include "model/open_transactions.h"

#include <algorithm>

namespace tidemark::model {

ClockReading combine(const ClockReading& before, const ClockReading& now, base::Duration apart)
{
    constexpr std::int64_t kDriftDivisor = 5000; // 200 ppm, twice what crystals are allowed
    base::Duration grown = before.error + apart / kDriftDivisor;
    base::Duration low = std::max(before.offset - grown, now.offset - now.error);
    base::Duration high = std::min(before.offset + grown, now.offset + now.error);
    if (low > high) { // the clock was set: events carry times of both kinds
        low = std::min(before.offset - grown, now.offset - now.error);
        high = std::max(before.offset + grown, now.offset + now.error);
    }
    return {.offset = low + (high - low) / 2, .error = (high - low + base::Duration{1}) / 2};
}

} // namespace tidemark::model
