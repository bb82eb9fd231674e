#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <memory>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace tidemark::stream {

/// How stored bytes were made from plain ones; the numbers stand in the formats.
enum class Codec : std::uint8_t { none = 0, zstd = 1 };

/// What to compress with. Level 2 is the best trade of size for time on table pages (see
/// docs/decisions/0005).
struct Compression {
    Codec codec = Codec::zstd;
    int level = 2;
    friend bool operator==(const Compression&, const Compression&) = default;
};

inline constexpr int kMinLevel = -5;
inline constexpr int kMaxLevel = 19;

/// As the configuration says it: 0 stores bytes as they are, anything else is a zstd level.
/// Error{usage} outside kMinLevel to kMaxLevel.
Compression compression_of_level(int level);

/// Compresses one frame at a time with a context that is kept. One thread each.
class Compressor {
public:
    /// Error{usage} for a level outside kMinLevel to kMaxLevel.
    explicit Compressor(Compression how);

    struct Result {
        Codec codec = Codec::none;
        std::size_t stored = 0;
    };
    /// The space that compress() needs for `plain` bytes.
    static std::size_t bound(std::size_t plain);
    /// One complete standard zstd frame with its content size, or a copy when the codec is none.
    /// `into` holds at least bound(plain.size()) bytes and does not overlap `plain`.
    Result compress(base::ByteView plain, base::ByteSpan into);

private:
    struct Free {
        void operator()(ZSTD_CCtx_s* context) const;
    };
    Compression how_;
    std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

/// The way back. One thread each.
class Decompressor {
public:
    Decompressor();
    /// Fills `into` exactly. Whatever is not one frame of exactly that plain size is Error{failed};
    /// memory is bounded by `into` and the largest window of kMaxLevel, whatever the bytes claim.
    void decompress(Codec codec, base::ByteView stored, base::ByteSpan into);

private:
    struct Free {
        void operator()(ZSTD_DCtx_s* context) const;
    };
    std::unique_ptr<ZSTD_DCtx_s, Free> context_;
};

} // namespace tidemark::stream
