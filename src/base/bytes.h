#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::base {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
using ByteSpan = std::span<std::byte>;

ByteView as_bytes(std::string_view text);
std::string_view as_text(ByteView bytes);
Bytes to_bytes(std::string_view text);

std::string to_hex(ByteView bytes);
/// Empty for odd lengths and characters outside [0-9a-fA-F].
std::optional<Bytes> from_hex(std::string_view text);

/// Unchecked little-endian loads; `at` must have sizeof(T) readable bytes.
std::uint16_t load_u16(const std::byte* at);
std::uint32_t load_u32(const std::byte* at);
std::uint64_t load_u64(const std::byte* at);

/// Bounds-checked little-endian reader over foreign bytes. Running off the end throws
/// Error{failed, "<what> is cut short at byte N"}.
class ByteReader {
public:
    ByteReader(ByteView bytes, std::string_view what);

    std::uint8_t u8();
    std::uint16_t u16();
    std::uint32_t u32();
    std::uint64_t u64();
    std::int64_t i64();
    ByteView view(std::size_t count);
    /// u32 length and that many bytes; a length above `limit` is an error.
    std::string text(std::size_t limit);
    void skip(std::size_t count);

    std::size_t remaining() const { return bytes_.size() - at_; }
    std::size_t offset() const { return at_; }

private:
    const std::byte* take(std::size_t count);

    ByteView bytes_;
    std::size_t at_ = 0;
    std::string what_;
};

/// Appends little-endian values to a buffer it owns.
class ByteWriter {
public:
    void u8(std::uint8_t value);
    void u16(std::uint16_t value);
    void u32(std::uint32_t value);
    void u64(std::uint64_t value);
    void i64(std::int64_t value);
    void raw(ByteView bytes);
    /// u32 length, then the bytes.
    void text(std::string_view value);

    const Bytes& bytes() const { return bytes_; }
    Bytes take() { return std::move(bytes_); }
    std::size_t size() const { return bytes_.size(); }

private:
    Bytes bytes_;
};

} // namespace tidemark::base
