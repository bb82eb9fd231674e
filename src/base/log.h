#pragma once

#include <fmt/core.h>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::base {

enum class LogLevel { debug, info, warning, error, off };
enum class LogFormat { text, json };

struct LogOptions {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::text;
    /// Where finished lines (without the line end) go instead of stderr; for tests. Called by one
    /// thread at a time.
    std::function<void(std::string_view)> sink = {};
};

/// Sets where and how the process logs. Without it, text from `info` on goes to stderr.
void log_setup(LogOptions options);
bool log_enabled(LogLevel level);
/// One line. Control characters and broken UTF-8 in `message` are escaped: names from databases and
/// repositories cannot forge lines or steer a terminal.
void log_message(LogLevel level, std::string_view message);

template <typename... Args>
void log_at(LogLevel level, fmt::format_string<Args...> text, Args&&... args)
{
    if (log_enabled(level)) log_message(level, fmt::format(text, std::forward<Args>(args)...));
}

template <typename... Args> void log_debug(fmt::format_string<Args...> text, Args&&... args)
{
    log_at(LogLevel::debug, text, std::forward<Args>(args)...);
}

template <typename... Args> void log_info(fmt::format_string<Args...> text, Args&&... args)
{
    log_at(LogLevel::info, text, std::forward<Args>(args)...);
}

template <typename... Args> void log_warning(fmt::format_string<Args...> text, Args&&... args)
{
    log_at(LogLevel::warning, text, std::forward<Args>(args)...);
}

template <typename... Args> void log_error(fmt::format_string<Args...> text, Args&&... args)
{
    log_at(LogLevel::error, text, std::forward<Args>(args)...);
}

/// `text` as one printable line of valid UTF-8: control characters (C0, DEL, C1), line and
/// paragraph separators, direction overrides and bytes that are no UTF-8 become \n, \t, \x1b,
/// \u{202e}.
std::string escape_controls(std::string_view text);

} // namespace tidemark::base
