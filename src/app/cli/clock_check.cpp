#include "app/cli/clock_check.h"

#include "app/cli/check_parts.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::app {

std::optional<engine::Check>
compare_clocks(const std::vector<std::optional<base::Duration>>& clocks)
{
    std::optional<base::Duration> low, high;
    for (const auto& clock : clocks) {
        if (!clock) continue;
        low = low ? std::min(*low, *clock) : *clock;
        high = high ? std::max(*high, *clock) : *clock;
    }
    if (!low) return std::nullopt;
    auto apart = *high - *low;
    auto check = fine("clocks", fmt::format("members' clocks are {:.1f} ms apart",
                                            static_cast<double>(apart.count()) / 1000));
    if (apart > std::chrono::seconds{1}) {
        check.state = engine::CheckState::waiting;
        check.fix = "synchronise the hosts' clocks (chrony, ntp): times are used to tell "
                    "reused ids apart";
    }
    return check;
}

} // namespace tidemark::app
