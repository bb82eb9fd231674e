#include "model/open_transactions.h"

#include <algorithm>

namespace tidemark::model {

namespace {

/// How far the clock may have drifted since it was read.
base::Duration grown_error(const ClockReading& before, base::Duration apart)
{
    constexpr std::int64_t kDriftDivisor = 5000; // 200 ppm, twice what crystals are allowed
    return before.error + apart / kDriftDivisor;
}

ClockReading between(base::Duration low, base::Duration high)
{
    return {.offset = low + (high - low) / 2, .error = (high - low + base::Duration{1}) / 2};
}

} // namespace

ClockReading combine(const ClockReading& before, const ClockReading& now, base::Duration apart)
{
    base::Duration grown = grown_error(before, apart);
    base::Duration low = std::max(before.offset - grown, now.offset - now.error);
    base::Duration high = std::min(before.offset + grown, now.offset + now.error);
    // The clock was set: events carry times of both kinds.
    if (low > high) return cover(before, now, apart);
    return between(low, high);
}

ClockReading cover(const ClockReading& before, const ClockReading& now, base::Duration apart)
{
    base::Duration grown = grown_error(before, apart);
    return between(std::min(before.offset - grown, now.offset - now.error),
                   std::max(before.offset + grown, now.offset + now.error));
}

} // namespace tidemark::model
