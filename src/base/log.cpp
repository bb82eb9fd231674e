#include "base/log.h"

#include "base/clock.h"

#include <cstdint>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace tidemark::base {

namespace {

struct Character {
    std::uint32_t code = 0;
    std::size_t length = 0; ///< 0: the bytes are no UTF-8
};

/// The character at the start of `text`; overlong forms, surrogates and values above U+10FFFF are
/// none.
Character decode(std::string_view text)
{
    auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    std::uint32_t first = byte(0);
    if (first < 0x80) return {first, 1};
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
    std::uint32_t code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3fU);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < kLeast[length] || code > 0x10ffff || surrogate) return {};
    return {code, length};
}

bool steers_display(std::uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x200e && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string json_text(std::string_view clean)
{
    std::string out;
    for (char c : clean) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string_view level_name(LogLevel level)
{
    switch (level) {
    case LogLevel::debug:
        return "debug";
    case LogLevel::info:
        return "info";
    case LogLevel::warning:
        return "warning";
    case LogLevel::error:
        return "error";
    case LogLevel::off:
        break;
    }
    return "off";
}

spdlog::level::level_enum spdlog_level(LogLevel level)
{
    switch (level) {
    case LogLevel::debug:
        return spdlog::level::debug;
    case LogLevel::info:
        return spdlog::level::info;
    case LogLevel::warning:
        return spdlog::level::warn;
    case LogLevel::error:
        return spdlog::level::err;
    case LogLevel::off:
        break;
    }
    return spdlog::level::off;
}

class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FunctionSink(std::function<void(std::string_view)> target) : target_(std::move(target))
    {
    }

protected:
    void sink_it_(const spdlog::details::log_msg& message) override
    {
        target_({message.payload.data(), message.payload.size()});
    }
    void flush_() override {}

private:
    std::function<void(std::string_view)> target_;
};

struct State {
    LogFormat format = LogFormat::text;
    std::shared_ptr<spdlog::logger> logger;
};

std::shared_ptr<const State> make_state(LogOptions options)
{
    auto state = std::make_shared<State>();
    state->format = options.format;
    spdlog::sink_ptr sink;
    if (options.sink) {
        sink = std::make_shared<FunctionSink>(std::move(options.sink));
    } else {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    }
    state->logger = std::make_shared<spdlog::logger>("tidemark", std::move(sink));
    state->logger->set_pattern("%v");
    state->logger->set_level(spdlog_level(options.level));
    state->logger->flush_on(spdlog::level::debug);
    return state;
}

std::mutex state_mutex;

std::shared_ptr<const State>& state_slot()
{
    static auto* slot = new std::shared_ptr<const State>(make_state({}));
    return *slot;
}

std::shared_ptr<const State> current_state()
{
    std::lock_guard lock{state_mutex};
    return state_slot();
}

} // namespace

void log_setup(LogOptions options)
{
    auto state = make_state(std::move(options));
    std::lock_guard lock{state_mutex};
    state_slot() = std::move(state);
}

bool log_enabled(LogLevel level)
{
    return level != LogLevel::off && current_state()->logger->should_log(spdlog_level(level));
}

void log_message(LogLevel level, std::string_view message)
{
    if (!log_enabled(level)) return;
    auto state = current_state();
    std::string time = format_time(SystemClock{}.now());
    std::string clean = escape_controls(message);
    std::string line = state->format == LogFormat::json
                           ? fmt::format(R"({{"time":"{}","level":"{}","message":"{}"}})", time,
                                         level_name(level), json_text(clean))
                           : fmt::format("{} {:<7} {}", time, level_name(level), clean);
    state->logger->log(spdlog_level(level), spdlog::string_view_t{line.data(), line.size()});
}

std::string escape_controls(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        auto [code, length] = decode(text);
        if (length == 0 || (code < 0x80 && steers_display(code))) {
            char c = text.front();
            if (c == '\n')
                out += "\\n";
            else if (c == '\t')
                out += "\\t";
            else if (c == '\r')
                out += "\\r";
            else
                out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
            text.remove_prefix(1);
            continue;
        }
        if (steers_display(code)) {
            out += fmt::format("\\u{{{:x}}}", code);
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length);
    }
    return out;
}

} // namespace tidemark::base
