#pragma once

#include "repo/frame.h"
#include "repo/layout.h"
#include "store/storage.h"

#include <optional>
#include <vector>

namespace tidemark::repo {

// A log piece: bytes [from, to) of one epoch of a member's log. A header of 76 bytes, frames of at
// most kPieceFrame plain bytes (frame.h), a trailer. Always a valid zstd file too: `zstd -dc PIECE`
// gives the log's bytes.
//
// clang-format off
//   at  size  header                           at  size  trailer
//    0     4  0x184D2A5D                        0     4  0x184D2A5D
//    4     4  68                                4     4  length of what follows, 56 + 8n
//    8     8  "TMKLOGP\n"                       8     4  "TMLE"
//   16     2  major 1                          12     4  n: number of frames
//   18     2  minor 0                          16    8n  stored and plain length of each, two u32
//   20     4  flags 0                       16+8n     8  sum of the plain lengths: to - from
//   24     4  engine tag, "pgsq"            24+8n    32  SHA-256 of the object before this field
//   28     8  system identifier             56+8n     4  zero
//   36     4  epoch (timeline)              60+8n     4  CRC-32C of the trailer's bytes before
//   40     4  bytes of a log segment
//   44     4  server version, as server_version_num
//   48     8  from
//   56     8  to
//   64     4  n: number of frames
//   68     4  zero
//   72     4  CRC-32C of bytes 0 to 71
// clang-format on

inline constexpr std::size_t kPieceHeaderSize = 76;
inline constexpr std::size_t kPieceFrame = 1U << 20;
inline constexpr std::size_t kPieceLimit = 32U << 20; ///< plain bytes; the default of PieceBuilder
inline constexpr std::uint32_t kMaxPieceFrames = 65536;
inline constexpr std::size_t piece_trailer_size(std::size_t frames)
{
    return 64 + 8 * frames;
}

/// Four letters that name the kind of log.
enum class EngineTag : std::uint32_t { postgresql = 0x71736770 };

/// What a piece says of itself.
struct PieceInfo {
    EngineTag engine = EngineTag::postgresql;
    std::uint64_t system_id = 0;
    std::uint32_t segment_size = 0;
    std::uint32_t version_num = 0;
    model::LogRange range;
    friend bool operator==(const PieceInfo&, const PieceInfo&) = default;
};

struct BuiltPiece {
    PieceInfo info;
    base::Bytes bytes; ///< the object
    stream::Sha256Digest sha256{};
};

/// Makes one piece in memory, compressing as bytes arrive. `info.range.to` is ignored: it follows
/// from the bytes.
class PieceBuilder {
public:
    struct Options {
        int level = 2;                   ///< zstd; 0 stores bytes as they are
        std::size_t limit = kPieceLimit; ///< plain bytes
    };
    PieceBuilder(PieceInfo info, Options options);

    /// Takes the next bytes of the log, at most room() of them; returns how many it took.
    [[nodiscard]] std::size_t append(base::ByteView bytes);
    std::size_t room() const { return options_.limit - plain_; }
    std::size_t plain_size() const { return plain_; }
    bool empty() const { return plain_ == 0; }
    /// End of what was taken: where the next piece begins.
    model::Offset end() const { return info_.range.from + plain_; }
    /// At least one byte was appended. Nothing may follow.
    BuiltPiece finish();

private:
    void seal();

    PieceInfo info_;
    Options options_;
    FrameSealer sealer_;
    base::Bytes pending_;
    base::Bytes object_; ///< room for the header, then the frames
    std::vector<FrameHeader> headers_;
    std::size_t plain_ = 0;
};

/// Reads parts of a stored piece without reading the rest; each frame is checked before its bytes
/// are given out. One thread each. Errors: not_restorable, naming the object; repository_newer.
class PieceReader {
public:
    /// Reads and checks header and trailer, and that they say what the key says.
    PieceReader(store::Storage& storage, const MemberId& member, const PieceId& piece);

    const PieceInfo& info() const { return info_; }
    const std::string& key() const { return key_; }
    /// Size of the object.
    std::uint64_t stored_size() const { return size_; }
    /// Bytes [from, from + into.size()) of the log; they lie within the piece.
    void read(model::Offset from, base::ByteSpan into);
    /// Reads everything and checks every byte; with `expected`, also the SHA-256 of the whole
    /// object. Returns it.
    stream::Sha256Digest verify(const std::optional<stream::Sha256Digest>& expected);

private:
    struct Frame {
        std::uint64_t offset = 0; ///< in the object
        std::uint64_t plain_at = 0;
        std::uint32_t stored = 0;
        std::uint32_t plain = 0;
    };
    void open();
    void read_table(base::ByteView trailer);
    void load(std::size_t frame);

    store::Storage& storage_;
    PieceId id_;
    std::string key_;
    std::uint64_t size_ = 0;
    PieceInfo info_;
    std::vector<Frame> frames_;
    stream::Decompressor decompressor_;
    base::Bytes stored_;
    base::Bytes plain_;
    std::optional<std::size_t> loaded_;
};

/// A whole piece in memory, as read from a file or a fuzzer: its checked description and its log
/// bytes.
struct ParsedPiece {
    PieceInfo info;
    base::Bytes log;
};
/// Error{failed} when any byte is not as it must be. `limit` bounds the log bytes.
ParsedPiece parse_piece(base::ByteView object, std::size_t limit);

} // namespace tidemark::repo
