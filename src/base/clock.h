#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::base {

/// Wall-clock time, UTC, microseconds. Never used to order what happened on different machines.
using Time = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

/// Where time comes from; an argument, so that tests need not sleep.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Time now() = 0;
    virtual std::chrono::steady_clock::time_point steady() = 0;
};

class SystemClock final : public Clock {
public:
    Time now() override;
    std::chrono::steady_clock::time_point steady() override;
};

/// Thread-safe.
class FakeClock final : public Clock {
public:
    explicit FakeClock(Time start) : since_epoch_(start.time_since_epoch().count()) {}
    Time now() override { return Time{Duration{since_epoch_.load()}}; }
    std::chrono::steady_clock::time_point steady() override
    {
        return std::chrono::steady_clock::time_point{Duration{since_epoch_.load()}};
    }
    void advance(Duration by) { since_epoch_ += by.count(); }

private:
    std::atomic<Duration::rep> since_epoch_;
};

/// "2026-11-22T14:31:07.123456Z"
std::string format_time(Time time);
/// "2026-11-22 14:31:07 UTC", for people.
std::string format_time_human(Time time);
/// ISO 8601 with 'T' or a space, optional fraction, and "Z", "UTC" or "+hh[:mm]"; without a zone it
/// is UTC.
std::optional<Time> parse_time(std::string_view text);
/// "15m", "10s", "250ms", "30d", "1h30m"; at most "36500d".
std::optional<Duration> parse_duration(std::string_view text);
/// "9 s", "2 min 5 s", "3 h 10 min", "2 d 4 h".
std::string format_duration(Duration duration);
/// "1.5 GiB", "640 KiB", "12 B".
std::string format_size(std::uint64_t bytes);

/// PostgreSQL's TimestampTz: microseconds since 2000-01-01 UTC (src/include/datatype/timestamp.h).
Time from_postgres_time(std::int64_t microseconds);

} // namespace tidemark::base
