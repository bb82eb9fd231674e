#include "model/gid_text.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::model {

namespace {

unsigned char_at(std::string_view text, std::size_t at)
{
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}

/// The bytes of the well-formed character at `at`; 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at)
{
    unsigned first = char_at(text, at);
    std::size_t length = first < 0x80                     ? 1
                         : first >= 0xC2 && first <= 0xDF ? 2
                         : first >= 0xE0 && first <= 0xEF ? 3
                         : first >= 0xF0 && first <= 0xF4 ? 4
                                                          : 0;
    unsigned second = char_at(text, at + 1);
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
        return 0;
    for (std::size_t k = 1; k < length; ++k)
        if ((char_at(text, at + k) & 0xC0U) != 0x80) return 0;
    return length;
}

bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_bare(std::string_view gid)
{
    return !gid.empty() && is_utf8(gid) && std::none_of(gid.begin(), gid.end(), [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == '#' || c == '"' || c == '\\' ||
               c == 0x7F;
    });
}

std::optional<unsigned> take_hex(std::string_view& text, std::size_t digits)
{
    unsigned value = 0;
    if (text.size() < digits) return std::nullopt;
    const char* begin = text.data();
    auto [end, error] = std::from_chars(begin, begin + digits, value, 16);
    if (error != std::errc{} || end != begin + digits) return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

void put_utf8(std::string& out, unsigned code)
{
    auto put = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
        put(0xC0U | code >> 6);
    } else if (code < 0x10000) {
        put(0xE0U | code >> 12);
        put(0x80U | (code >> 6 & 0x3FU));
    } else {
        put(0xF0U | code >> 18);
        put(0x80U | (code >> 12 & 0x3FU));
        put(0x80U | (code >> 6 & 0x3FU));
    }
    put(0x80U | (code & 0x3FU));
}

/// The hexadecimal part of \uXXXX, and of the second half of a pair.
bool take_unicode(std::string_view& text, std::string& out)
{
    auto code = take_hex(text, 4);
    if (!code || (*code >= 0xDC00 && *code <= 0xDFFF)) return false;
    if (*code >= 0xD800 && *code <= 0xDBFF) {
        if (!text.starts_with("\\u")) return false;
        text.remove_prefix(2);
        auto low = take_hex(text, 4);
        if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    }
    put_utf8(out, *code);
    return true;
}

bool take_escape(std::string_view& text, std::string& out)
{
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (text.empty()) return false;
    char letter = text.front();
    text.remove_prefix(1);
    if (letter == 'u') return take_unicode(text, out);
    if (letter == 'x') {
        auto byte = take_hex(text, 2);
        if (byte) out += static_cast<char>(*byte);
        return byte.has_value();
    }
    auto at = kLetters.find(letter);
    if (at == kLetters.npos) return false;
    out += kMeanings[at];
    return true;
}

} // namespace

bool is_utf8(std::string_view text)
{
    for (std::size_t at = 0; at < text.size();) {
        auto length = utf8_length(text, at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

std::string gid_word(std::string_view gid)
{
    if (is_bare(gid)) return std::string(gid);
    std::string out = "\"";
    for (std::size_t at = 0; at < gid.size();) {
        auto length = utf8_length(gid, at);
        auto byte = char_at(gid, at);
        if (length == 0) {
            out += fmt::format("\\x{:02x}", byte);
        } else if (byte < ' ' || byte == 0x7F) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            if (byte == '"' || byte == '\\') out += '\\';
            out += gid.substr(at, length);
        }
        at += std::max<std::size_t>(length, 1);
    }
    return out + "\"";
}

std::optional<std::string> take_gid_word(std::string_view& text)
{
    std::string out;
    if (!text.starts_with('"')) {
        if (text.starts_with('#')) return std::nullopt;
        out.assign(text.begin(), std::find_if(text.begin(), text.end(), is_blank));
        text.remove_prefix(out.size());
        return out.empty() ? std::nullopt : std::optional(out);
    }
    text.remove_prefix(1);
    while (!text.empty()) {
        char c = text.front();
        text.remove_prefix(1);
        if (c == '"') return out;
        if (c != '\\')
            out += c;
        else if (!take_escape(text, out))
            return std::nullopt;
    }
    return std::nullopt;
}

} // namespace tidemark::model
