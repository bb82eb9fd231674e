#include "job/assertions.h"

#include <algorithm>

namespace tidemark::job {

namespace {

__extension__ typedef __int128 Wide;

constexpr std::size_t kMaxDigits = 36;
constexpr std::size_t kMaxSummands = 100; ///< of 10^36 each fit 128 bits

struct Decimal {
    Wide units = 0; ///< times 10^-scale
    std::size_t scale = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text)
{
    bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    Decimal out;
    std::size_t digits = 0;
    bool fraction = false;
    for (char c : text) {
        if (c == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > kMaxDigits) return std::nullopt;
        out.units = out.units * 10 + (c - '0');
        if (fraction) ++out.scale;
    }
    if (digits == 0) return std::nullopt;
    if (negative) out.units = -out.units;
    return out;
}

/// False when it would have more than kMaxDigits.
bool scale_to(Decimal& value, std::size_t scale)
{
    Wide limit = 1;
    for (std::size_t i = 0; i < kMaxDigits; ++i)
        limit *= 10;
    for (; value.scale < scale; ++value.scale) {
        value.units *= 10;
        if (value.units > limit || value.units < -limit) return false;
    }
    return true;
}

std::string format_decimal(Decimal value)
{
    while (value.scale > 0 && value.units % 10 == 0) {
        value.units /= 10;
        --value.scale;
    }
    bool negative = value.units < 0;
    if (negative) value.units = -value.units;
    std::string text;
    do {
        text += static_cast<char>('0' + static_cast<int>(value.units % 10));
        value.units /= 10;
        if (text.size() == value.scale) text += '.';
    } while (value.units > 0 || (value.scale > 0 && text.size() <= value.scale + 1));
    if (negative) text += '-';
    std::reverse(text.begin(), text.end());
    return text;
}

} // namespace

std::optional<std::string> exact_sum(const std::vector<std::string>& values)
{
    if (values.size() > kMaxSummands) return std::nullopt;
    std::vector<Decimal> numbers;
    std::size_t scale = 0;
    for (const auto& value : values) {
        auto number = parse_decimal(value);
        if (!number) return std::nullopt;
        scale = std::max(scale, number->scale);
        numbers.push_back(*number);
    }
    Decimal sum{.units = 0, .scale = scale};
    for (auto& number : numbers) {
        if (!scale_to(number, scale)) return std::nullopt;
        sum.units += number.units;
    }
    return format_decimal(sum);
}

} // namespace tidemark::job
