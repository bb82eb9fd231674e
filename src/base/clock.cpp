#include "base/clock.h"

#include <array>
#include <cctype>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::base {

using namespace std::chrono;

Time SystemClock::now()
{
    return time_point_cast<microseconds>(system_clock::now());
}
steady_clock::time_point SystemClock::steady()
{
    return steady_clock::now();
}

namespace {

struct Civil {
    year_month_day date;
    hh_mm_ss<microseconds> clock;
};

Civil split(Time time)
{
    auto day = floor<days>(time);
    return {year_month_day{day}, hh_mm_ss<microseconds>{time - day}};
}

/// Reads exactly `width` digits at `at`, or -1.
int digits(std::string_view text, std::size_t at, std::size_t width)
{
    if (at + width > text.size()) return -1;
    int value = 0;
    for (char c : text.substr(at, width)) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

/// Offset of a zone suffix, or nothing when it is not one.
std::optional<minutes> parse_zone(std::string_view text)
{
    if (text.size() > 1 && text.front() == ' ') text.remove_prefix(1);
    if (text.empty() || text == "Z" || text == "UTC") return minutes{0};
    if (text.front() != '+' && text.front() != '-') return std::nullopt;
    int hour = digits(text, 1, 2);
    int minute = 0;
    if (text.size() == 6 && text[3] == ':')
        minute = digits(text, 4, 2);
    else if (text.size() == 5)
        minute = digits(text, 3, 2);
    else if (text.size() != 3)
        return std::nullopt;
    if (hour < 0 || hour > 15 || minute < 0 || minute > 59) return std::nullopt;
    minutes total = hours{hour} + minutes{minute};
    return text.front() == '-' ? -total : total;
}

} // namespace

std::string format_time(Time time)
{
    auto [date, clock] = split(time);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", int(date.year()),
                       unsigned(date.month()), unsigned(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::string format_time_human(Time time)
{
    auto [date, clock] = split(time);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", int(date.year()),
                       unsigned(date.month()), unsigned(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count());
}

std::optional<Time> parse_time(std::string_view text)
{
    int y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2);
    if (y < 0 || mo < 0 || d < 0 || text[4] != '-' || text[7] != '-') return std::nullopt;
    year_month_day date{year{y}, month{unsigned(mo)}, day{unsigned(d)}};
    if (!date.ok()) return std::nullopt;
    if (text.size() == 10) return Time{sys_days{date}};
    if (text[10] != 'T' && text[10] != ' ') return std::nullopt;
    int h = digits(text, 11, 2), mi = digits(text, 14, 2), s = 0;
    if (h < 0 || h > 23 || mi < 0 || mi > 59 || text[13] != ':') return std::nullopt;
    std::size_t at = 16;
    microseconds fraction{0};
    if (at < text.size() && text[at] == ':') {
        s = digits(text, 17, 2);
        if (s < 0 || s > 60) return std::nullopt;
        at = 19;
        if (at < text.size() && text[at] == '.') {
            std::int64_t unit = 100000;
            std::size_t first = ++at;
            for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
                 ++at) {
                fraction += microseconds{(text[at] - '0') * unit};
                unit /= 10;
            }
            if (at == first) return std::nullopt;
        }
    }
    auto zone = parse_zone(text.substr(at));
    if (!zone) return std::nullopt;
    return Time{sys_days{date}} + hours{h} + minutes{mi} + seconds{s} + fraction - *zone;
}

std::optional<Duration> parse_duration(std::string_view text)
{
    // A hundred years: added to any clock's now, it is still a time.
    constexpr Duration kMost = days{36'500};
    if (text.empty()) return std::nullopt;
    Duration total{0};
    while (!text.empty()) {
        std::int64_t value = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || value < 0) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        Duration unit{0};
        if (text.starts_with("ms"))
            unit = milliseconds{1};
        else if (text.starts_with('s'))
            unit = seconds{1};
        else if (text.starts_with('m'))
            unit = minutes{1};
        else if (text.starts_with('h'))
            unit = hours{1};
        else if (text.starts_with('d'))
            unit = days{1};
        else
            return std::nullopt;
        if (value > (kMost - total) / unit) return std::nullopt;
        total += value * unit;
        text.remove_prefix(unit == milliseconds{1} ? 2 : 1);
    }
    return total;
}

std::string format_duration(Duration duration)
{
    auto total = duration_cast<seconds>(duration).count();
    if (duration < seconds{10}) {
        return fmt::format("{:.1f} s", static_cast<double>(duration.count()) / 1e6);
    }
    if (total < 60) return fmt::format("{} s", total);
    if (total < 3600) return fmt::format("{} min {} s", total / 60, total % 60);
    if (total < 86400) return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
    return fmt::format("{} d {} h", total / 86400, total % 86400 / 3600);
}

std::string format_size(std::uint64_t bytes)
{
    static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    if (unit == 0) return fmt::format("{} B", bytes);
    return fmt::format(fmt::runtime(value < 10 ? "{:.1f} {}" : "{:.0f} {}"), value, kUnits[unit]);
}

Time from_postgres_time(std::int64_t microseconds_since_2000)
{
    constexpr sys_days kEpoch = 2000y / January / 1;
    return Time{kEpoch} + microseconds{microseconds_since_2000};
}

} // namespace tidemark::base
