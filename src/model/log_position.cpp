#include "model/log_position.h"

#include <charconv>
#include <fmt/format.h>

namespace tidemark::model {

namespace {

/// 1 to 8 hexadecimal digits and nothing else.
std::optional<std::uint32_t> parse_hex32(std::string_view text)
{
    if (text.empty() || text.size() > 8) return std::nullopt;
    std::uint32_t value = 0;
    auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (failure != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
    return value;
}

/// A timeline's number: decimal, at least 1.
std::optional<Epoch> parse_epoch(std::string_view text)
{
    Epoch value = 0;
    auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 10);
    if (failure != std::errc{} || rest != text.data() + text.size() || value == 0)
        return std::nullopt;
    return value;
}

} // namespace

std::string format_offset(Offset offset)
{
    return fmt::format("{:X}/{:X}", offset >> 32, offset & 0xFFFFFFFFU);
}

std::optional<Offset> parse_offset(std::string_view text)
{
    auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    auto high = parse_hex32(text.substr(0, slash));
    auto low = parse_hex32(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return (Offset{*high} << 32) | *low;
}

std::string format_position(const LogPosition& position)
{
    if (position.epoch == 1) return format_offset(position.offset);
    return fmt::format("{}@{}", format_offset(position.offset), position.epoch);
}

std::optional<LogPosition> parse_position(std::string_view text)
{
    Epoch epoch = 1;
    if (auto at = text.find('@'); at != std::string_view::npos) {
        auto parsed = parse_epoch(text.substr(at + 1));
        if (!parsed) return std::nullopt;
        epoch = *parsed;
        text = text.substr(0, at);
    }
    auto offset = parse_offset(text);
    if (!offset) return std::nullopt;
    return LogPosition{epoch, *offset};
}

} // namespace tidemark::model
