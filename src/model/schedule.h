#pragma once

#include "base/clock.h"
#include "base/time_zone.h"

#include <chrono>
#include <optional>
#include <string_view>

namespace tidemark::model {

/// When full backups are due: a time of the calendar that comes back (`full` in
/// docs/guide/configuration.md). A value.
struct Schedule {
    enum class Every { off, hour, day, week, month, year };
    Every every = Every::off;
    std::chrono::minutes at{0};     ///< after midnight; for `hour` after the full hour
    std::chrono::weekday weekday{}; ///< for `week`
    std::chrono::day day{1}; ///< for `month` and `year`; beyond the month's end: its last day
    std::chrono::month month{std::chrono::January}; ///< for `year`
    friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// "off", "hourly [:MM]", "daily [HH:MM]", "weekly [DAY] [HH:MM]", "monthly [D] [HH:MM]",
/// "yearly [MM-DD] [HH:MM]"; days are Mon to Sun; what is left out is midnight, Sunday, the first.
std::optional<Schedule> parse_schedule(std::string_view text);

/// The newest scheduled moment at or before `now`; nothing for `off`. A local time that daylight
/// saving repeats counts once, the first time; one that it skips is the moment of the change.
std::optional<base::Time> last_due(const Schedule& schedule, const base::TimeZone& zone,
                                   base::Time now);
/// The first scheduled moment after `now`.
std::optional<base::Time> next_due(const Schedule& schedule, const base::TimeZone& zone,
                                   base::Time now);

} // namespace tidemark::model
