#include "base/bytes.h"

#include "base/error.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace tidemark::base {

static_assert(std::endian::native == std::endian::little,
              "Tidemark runs on little-endian machines");

ByteView as_bytes(std::string_view text)
{
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string_view as_text(ByteView bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes to_bytes(std::string_view text)
{
    auto view = as_bytes(text);
    return {view.begin(), view.end()};
}

std::string to_hex(ByteView bytes)
{
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (std::byte b : bytes) {
        auto value = std::to_integer<unsigned>(b);
        out += kDigits[value >> 4];
        out += kDigits[value & 15];
    }
    return out;
}

namespace {

int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

template <typename T> T load(const std::byte* at)
{
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <typename T> void append(Bytes& out, T value)
{
    const auto* at = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), at, at + sizeof value);
}

} // namespace

std::optional<Bytes> from_hex(std::string_view text)
{
    if (text.size() % 2 != 0) return std::nullopt;
    Bytes out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return out;
}

std::uint16_t load_u16(const std::byte* at)
{
    return load<std::uint16_t>(at);
}
std::uint32_t load_u32(const std::byte* at)
{
    return load<std::uint32_t>(at);
}
std::uint64_t load_u64(const std::byte* at)
{
    return load<std::uint64_t>(at);
}

ByteReader::ByteReader(ByteView bytes, std::string_view what) : bytes_(bytes), what_(what) {}

const std::byte* ByteReader::take(std::size_t count)
{
    if (count > remaining()) {
        throw Error{Code::failed, fmt::format("{} is cut short at byte {}", what_, at_)};
    }
    const std::byte* at = bytes_.data() + at_;
    at_ += count;
    return at;
}

std::uint8_t ByteReader::u8()
{
    return std::to_integer<std::uint8_t>(*take(1));
}
std::uint16_t ByteReader::u16()
{
    return load_u16(take(2));
}
std::uint32_t ByteReader::u32()
{
    return load_u32(take(4));
}
std::uint64_t ByteReader::u64()
{
    return load_u64(take(8));
}
std::int64_t ByteReader::i64()
{
    return static_cast<std::int64_t>(u64());
}

ByteView ByteReader::view(std::size_t count)
{
    const std::byte* at = take(count);
    return {at, count};
}

std::string ByteReader::text(std::size_t limit)
{
    std::uint32_t length = u32();
    if (length > limit) {
        throw Error{Code::failed,
                    fmt::format("{} holds a text of {} bytes, more than {}", what_, length, limit)};
    }
    return std::string(as_text(view(length)));
}

void ByteReader::skip(std::size_t count)
{
    take(count);
}

void ByteWriter::u8(std::uint8_t value)
{
    append(bytes_, value);
}
void ByteWriter::u16(std::uint16_t value)
{
    append(bytes_, value);
}
void ByteWriter::u32(std::uint32_t value)
{
    append(bytes_, value);
}
void ByteWriter::u64(std::uint64_t value)
{
    append(bytes_, value);
}
void ByteWriter::i64(std::int64_t value)
{
    append(bytes_, value);
}
void ByteWriter::raw(ByteView bytes)
{
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void ByteWriter::text(std::string_view value)
{
    u32(static_cast<std::uint32_t>(value.size()));
    raw(as_bytes(value));
}

} // namespace tidemark::base
