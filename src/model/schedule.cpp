#include "model/schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace tidemark::model {

namespace chr = std::chrono;

namespace {

std::vector<std::string_view> words(std::string_view text)
{
    std::vector<std::string_view> out;
    while (!text.empty()) {
        auto start = text.find_first_not_of(' ');
        if (start == std::string_view::npos) break;
        text.remove_prefix(start);
        auto end = std::min(text.find(' '), text.size());
        out.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return out;
}

/// A number of one or two digits within bounds.
std::optional<unsigned> small_number(std::string_view text, unsigned least, unsigned most)
{
    unsigned value = 0;
    if (text.empty() || text.size() > 2) return std::nullopt;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value < least || value > most) return std::nullopt;
    return value;
}

/// "HH:MM", or ":MM" with hour zero.
std::optional<chr::minutes> time_of_day(std::string_view text)
{
    auto colon = text.find(':');
    if (colon == std::string_view::npos || text.size() - colon != 3) return std::nullopt;
    auto hour = colon == 0 ? 0U : small_number(text.substr(0, colon), 0, 23);
    auto minute = small_number(text.substr(colon + 1), 0, 59);
    if (!hour || !minute) return std::nullopt;
    return chr::hours{*hour} + chr::minutes{*minute};
}

std::optional<chr::weekday> day_of_week(std::string_view text)
{
    constexpr std::array<std::string_view, 7> names{"Sun", "Mon", "Tue", "Wed",
                                                    "Thu", "Fri", "Sat"};
    auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return std::nullopt;
    return chr::weekday{static_cast<unsigned>(found - names.begin())};
}

/// Which day: a weekday, a day of the month or "MM-DD". True when `text` was one.
bool read_day(Schedule& schedule, std::string_view text)
{
    if (schedule.every == Schedule::Every::week) {
        auto day = day_of_week(text);
        if (day) schedule.weekday = *day;
        return day.has_value();
    }
    if (schedule.every == Schedule::Every::year) {
        auto dash = text.find('-');
        if (dash == std::string_view::npos) return false;
        auto month = small_number(text.substr(0, dash), 1, 12);
        if (!month) return false;
        schedule.month = chr::month{*month};
        text.remove_prefix(dash + 1);
    } else if (schedule.every != Schedule::Every::month) {
        return false;
    }
    auto day = small_number(text, 1, 31);
    if (day) schedule.day = chr::day{*day};
    return day.has_value();
}

/// The day itself, or the last one of a month that is shorter.
chr::local_days within_month(chr::year year, chr::month month, chr::day day)
{
    auto last = chr::year_month_day_last{year, chr::month_day_last{month}};
    return chr::local_days{chr::year_month_day{year, month, std::min(day, last.day())}};
}

/// The scheduled local time of the period that holds `date`, moved by `step` periods.
base::LocalTime in_period(const Schedule& schedule, chr::local_days date, int step)
{
    chr::year_month_day ymd{date};
    switch (schedule.every) {
    case Schedule::Every::week: {
        auto back = chr::weekday{date} - schedule.weekday;
        return date - back + chr::days{7 * step} + schedule.at;
    }
    case Schedule::Every::month: {
        auto month = chr::year_month{ymd.year(), ymd.month()} + chr::months{step};
        return within_month(month.year(), month.month(), schedule.day) + schedule.at;
    }
    case Schedule::Every::year:
        return within_month(ymd.year() + chr::years{step}, schedule.month, schedule.day) +
               schedule.at;
    case Schedule::Every::day:
    case Schedule::Every::hour:
    case Schedule::Every::off:
        break;
    }
    return date + chr::days{step} + schedule.at;
}

/// The scheduled moments around `now`, ascending: at least one before and one after it.
std::vector<base::Time> moments_around(const Schedule& schedule, const base::TimeZone& zone,
                                       base::Time now)
{
    std::vector<base::Time> out;
    if (schedule.every == Schedule::Every::off) return out;
    auto local = zone.to_local(now);
    if (schedule.every == Schedule::Every::hour) {
        // Hours go on through a change of the clocks, so they are counted in real time.
        auto offset = local - base::LocalTime{chr::floor<chr::seconds>(now).time_since_epoch()};
        auto hour = chr::floor<chr::hours>(local);
        for (int step : {-1, 0, 1})
            out.emplace_back((hour + chr::hours{step} + schedule.at).time_since_epoch() - offset);
        return out;
    }
    for (int step : {-1, 0, 1, 2})
        out.push_back(zone.to_time(in_period(schedule, chr::floor<chr::days>(local), step)));
    return out;
}

} // namespace

std::optional<Schedule> parse_schedule(std::string_view text)
{
    auto parts = words(text);
    if (parts.empty()) return std::nullopt;
    Schedule out;
    out.weekday = chr::Sunday;
    constexpr std::array<std::string_view, 6> names{"off",    "hourly",  "daily",
                                                    "weekly", "monthly", "yearly"};
    auto found = std::find(names.begin(), names.end(), parts.front());
    if (found == names.end()) return std::nullopt;
    out.every = static_cast<Schedule::Every>(found - names.begin());
    parts.erase(parts.begin());
    if (!parts.empty() && read_day(out, parts.front())) parts.erase(parts.begin());
    if (!parts.empty() && out.every != Schedule::Every::off) {
        auto at = time_of_day(parts.front());
        // ":MM" is a minute of every hour, "HH:MM" a time of the day: neither stands for the other.
        bool of_the_hour = parts.front().front() == ':';
        if (!at || of_the_hour != (out.every == Schedule::Every::hour)) return std::nullopt;
        out.at = *at;
        parts.erase(parts.begin());
    }
    if (!parts.empty()) return std::nullopt;
    return out;
}

std::optional<base::Time> last_due(const Schedule& schedule, const base::TimeZone& zone,
                                   base::Time now)
{
    std::optional<base::Time> out;
    for (auto moment : moments_around(schedule, zone, now)) {
        if (moment <= now && (!out || moment > *out)) out = moment;
    }
    return out;
}

std::optional<base::Time> next_due(const Schedule& schedule, const base::TimeZone& zone,
                                   base::Time now)
{
    std::optional<base::Time> out;
    for (auto moment : moments_around(schedule, zone, now)) {
        if (moment > now && (!out || moment < *out)) out = moment;
    }
    return out;
}

} // namespace tidemark::model
