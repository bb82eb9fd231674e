#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::repo {

// What our binary formats have in common. Little-endian throughout.
//
// Packs and pieces are, byte for byte, also valid zstd files: everything of ours lies in zstd's
// skippable frames (RFC 8878, 3.1.2), so that `zstd -dc` gives the plain bytes without any program
// of ours.

/// First four bytes of a skippable frame that holds something of ours; a u32 length follows.
inline constexpr std::uint32_t kSkippable = 0x184D2A5D;
inline constexpr std::size_t kSkippableSize = 8;

/// Magic, version and flags: 16 bytes at the start of each format.
struct Preamble {
    std::string_view magic; ///< 8 bytes
    std::uint16_t major = 1;
    std::uint16_t minor = 0;
};
inline constexpr std::size_t kPreambleSize = 16;

void put_preamble(base::ByteWriter& out, const Preamble& preamble);
/// Refuses another magic (failed) and an unknown major or flag (repository_newer); any minor is
/// read.
void check_preamble(base::ByteReader& in, const Preamble& known, std::string_view what);

/// Appends CRC-32C of everything in `out` from `from` on.
void put_crc(base::ByteWriter& out, std::size_t from = 0);
/// Are the last four bytes the CRC-32C of those before?
bool crc_holds(base::ByteView bytes);
/// Throws Error{failed} when not.
void check_crc(base::ByteView bytes, std::string_view what);

void put_skippable(base::ByteWriter& out, std::size_t content);
void check_skippable(base::ByteReader& in, std::size_t content, std::string_view what);

/// LEB128, at most ten bytes.
void put_varint(base::ByteWriter& out, std::uint64_t value);
/// Refuses more than 64 bits and spellings that are longer than they need to be.
std::uint64_t get_varint(base::ByteReader& in);
/// get_varint that refuses more than `limit`; `what` names the value.
std::uint64_t get_varint(base::ByteReader& in, std::uint64_t limit, std::string_view what);
/// Signed as 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...
void put_zigzag(base::ByteWriter& out, std::int64_t value);
std::int64_t get_zigzag(base::ByteReader& in);
/// The difference of two u64 modulo 2^64, as a zigzag number: small when they are close.
void put_delta(base::ByteWriter& out, std::uint64_t value, std::uint64_t base);
std::uint64_t get_delta(base::ByteReader& in, std::uint64_t base);
/// A varint length and that many bytes.
void put_text(base::ByteWriter& out, std::string_view text);
std::string get_text(base::ByteReader& in, std::size_t limit, std::string_view what);

template <std::size_t N> std::array<std::byte, N> get_array(base::ByteReader& in)
{
    std::array<std::byte, N> out;
    base::ByteView bytes = in.view(N);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

} // namespace tidemark::repo
