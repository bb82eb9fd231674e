#pragma once

#include "base/bytes.h"
#include "stream/checksum.h"
#include "stream/zstd.h"

#include <cstdint>

namespace tidemark::repo {

// A frame: a header of 56 bytes, then `stored_length` bytes. Packs and log pieces are rows of
// frames.
//
//   at  size
//    0     4  0x184D2A5D   zstd skippable frame
//    4     4  48           its length
//    8     4  "TMFR"
//   12     4  number       of the frame in its object, from 0
//   16     1  codec        0 none, 1 zstd
//   17     3  zero
//   20     4  stored length, at most kMaxFrameStored
//   24     4  plain length, 1 to kMaxFramePlain
//   28     8  XXH3-64 of the plain bytes
//   36    16  first 16 bytes of SHA-256 of the stored bytes
//   52     4  CRC-32C of bytes 0 to 51
//   56     .  stored bytes

inline constexpr std::size_t kFrameHeaderSize = 56;
inline constexpr std::uint32_t kMaxFramePlain = 16U << 20;
/// zstd adds at most 3 bytes for each 128 KiB and a frame header.
inline constexpr std::uint32_t kMaxFrameStored = kMaxFramePlain + (kMaxFramePlain >> 8) + 64;

struct FrameHeader {
    std::uint32_t number = 0;
    stream::Codec codec = stream::Codec::none;
    std::uint32_t stored_length = 0;
    std::uint32_t plain_length = 0;
    std::uint64_t xxh3 = 0;
    stream::Sha16 sha16{};
    friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

/// `bytes` are exactly kFrameHeaderSize; Error{failed} for whatever is not a sound header.
FrameHeader decode_frame_header(base::ByteView bytes);

/// Makes frames, reusing one buffer and one compression context. One thread each.
class FrameSealer {
public:
    explicit FrameSealer(stream::Compression how) : compressor_(how) {}
    /// The frame of `plain` (1 to kMaxFramePlain bytes).
    FrameHeader seal(std::uint32_t number, base::ByteView plain);
    /// Header and stored bytes of the last seal(); valid until the next.
    base::ByteView bytes() const { return base::ByteView(buffer_).first(size_); }

private:
    stream::Compressor compressor_;
    base::Bytes buffer_;
    std::size_t size_ = 0;
};

/// Checks and unpacks a frame: SHA-256 of the stored bytes first, then XXH3 of the plain ones.
/// `plain` has header.plain_length bytes. Error{failed} when anything disagrees.
void open_frame(const FrameHeader& header, base::ByteView stored, base::ByteSpan plain,
                stream::Decompressor& decompressor);
/// Checks the stored bytes only.
void check_stored(const FrameHeader& header, base::ByteView stored);

} // namespace tidemark::repo
