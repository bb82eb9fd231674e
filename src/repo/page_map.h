#pragma once

#include "model/file_entry.h"
#include "repo/pack.h"

#include <array>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>

namespace tidemark::repo {

// The page map of a base backup: its files, and for each frame which ranges of which files it
// holds. A stream of records in any order; ranges of a file that no extent covers are zeros. Read
// and written with bounded memory.
//
// clang-format off
//   header, 36 bytes:   "TMKPMAP\n", major 1 u16, minor 0 u16, flags 0 u32, backup u64, lease u64,
//                       CRC-32C of 0..31
//   chunks:             "TMPC", number u32 (from 0), records u32, payload length u32 (1 to
//                       kMaxChunk), first 16 bytes of the payload's SHA-256, CRC-32C of the 32
//                       bytes before; payload
//   trailer, 56 bytes:  "TMPT", chunks u32, files u64, file bytes u64, frames u64, extents u64,
//                       covered bytes u64, zero u32, CRC-32C of 0..51
//
// Records (v: varint, z: zigzag varint; container.h):
//   1  file    v index, u8 kind, v mode, z modified (microseconds since 1970), v size, text path,
//              text link target
//   2  frame   v backup, v lease, v pack number, v offset, v stored length, v plain length,
//              u64 XXH3, 16 bytes of SHA-256, v number of extents (at least 1), then for each one
//                z  file index, difference to the extent before (first: to 0)
//                z  offset in the file, difference to the end of the extent before if that is of
//                   the same file, else to 0
//                v  length, at least 1
//                z  offset in the frame's plain bytes, difference to the end of the extent before
//                   (first: to 0)
// clang-format on

inline constexpr std::size_t kPageMapHeaderSize = 36;
inline constexpr std::size_t kChunkHeaderSize = 36;
inline constexpr std::size_t kPageMapTrailerSize = 56;
inline constexpr std::size_t kMaxChunk = 1U << 20;
inline constexpr std::size_t kMaxPath = 4096;
inline constexpr std::size_t kMaxExtents = 16384; ///< of one frame
inline constexpr std::uint64_t kMaxFileSize = 1ULL << 56;

/// `length` bytes at `offset` of file `file` are the frame's plain bytes from `plain_offset` on.
struct Extent {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t plain_offset = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
};

struct PageMapTotals {
    std::uint64_t files = 0; ///< entries of any kind
    std::uint64_t file_bytes = 0;
    std::uint64_t frames = 0;
    std::uint64_t extents = 0;
    std::uint64_t covered_bytes = 0; ///< what is not zeros
    friend bool operator==(const PageMapTotals&, const PageMapTotals&) = default;
};

struct PageMapInfo {
    Number backup = 0;
    Number lease = 0;
    std::uint64_t length = 0; ///< of the object
    stream::Sha256Digest sha256{};
    PageMapTotals totals;
    friend bool operator==(const PageMapInfo&, const PageMapInfo&) = default;
};

/// Holds files and extents together: no file twice, no extent of an unknown file or beyond a file's
/// size, not more bytes than the file has. About 30 bytes of memory a file. Error{failed}.
class FileLedger {
public:
    void declare(const model::FileEntry& entry);
    void cover(const Extent& extent);
    /// Everything was declared.
    void settle() const;

private:
    static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};
    struct State {
        std::uint64_t size = kUnknown;
        std::uint64_t end = 0;
        std::uint64_t covered = 0;
    };
    /// Neighbours share a node: few bytes where numbers are dense, as ours are, and no more than
    /// a small multiple of what was read where a hostile page map scatters them.
    static constexpr std::uint32_t kTogether = 8;
    State& state_of(std::uint32_t index) { return files_[index / kTogether][index % kTogether]; }
    static void compare(std::uint32_t index, const State& state);
    std::unordered_map<std::uint32_t, std::array<State, kTogether>> files_;
};

/// Refuses what must not be created beneath a restore's target: empty, absolute, longer than
/// kMaxPath, NUL bytes, empty, "." or ".." parts. Error{failed}.
void check_path(std::string_view path);

/// Writes the page map while the backup runs. All members but finish() may be called by several
/// threads.
class PageMapWriter {
public:
    PageMapWriter(store::Storage& storage, const MemberId& member, Number backup, Number lease);

    /// Each file once, in any order, also after its extents.
    void add_file(const model::FileEntry& entry);
    /// At most kMaxExtents, at least one; they lie within the frame's plain bytes.
    void add_frame(const FrameRef& frame, std::span<const Extent> extents);
    /// Makes it durable and visible. Error{failed} when files and extents do not fit together.
    PageMapInfo finish();

private:
    void put(base::ByteView bytes);
    void record_added();
    void flush();

    std::mutex mutex_;
    std::string key_;
    std::unique_ptr<store::ObjectWriter> object_;
    stream::Sha256 hash_;
    base::ByteWriter chunk_;
    std::uint32_t records_ = 0;
    std::uint32_t chunks_ = 0;
    FileLedger ledger_;
    PageMapInfo info_;
};

class PageMapVisitor {
public:
    virtual ~PageMapVisitor() = default;
    virtual void file(const model::FileEntry& entry);
    virtual void frame(const FrameRef& frame, std::span<const Extent> extents);
};

/// Streams a page map. Each chunk is checked before its records are handed out, the whole only at
/// the end: act on what you saw after this has returned, or read once without a visitor before.
/// Files and frames come in the order of writing, so a restore reads several times: files first.
/// Error{failed}.
PageMapInfo parse_page_map(base::ByteSource& source, PageMapVisitor& visitor);

/// The same for the stored object; Error{not_restorable} names it. `expected` is the manifest's
/// SHA-256.
PageMapInfo read_page_map(store::Storage& storage, const MemberId& member, Number backup,
                          Number lease, PageMapVisitor& visitor,
                          const std::optional<stream::Sha256Digest>& expected);

} // namespace tidemark::repo
