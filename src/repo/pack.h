#pragma once

#include "base/aligned.h"
#include "repo/frame.h"
#include "repo/layout.h"
#include "store/storage.h"

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace tidemark::repo {

// A pack: a header of 48 bytes, frames (frame.h), a trailer of 68 bytes. Also a valid zstd file if
// no frame uses codec none.
//
//   at  size                                   at  size
//    0     4  0x184D2A5D                         0     4  0x184D2A5D
//    4     4  40                                 4     4  60
//    8     8  "TMKPACK\n"                        8     4  "TMPE"
//   16     2  major 1                           12     4  number of frames
//   18     2  minor 0                           16     8  length of the whole pack
//   20     4  flags 0                           24     8  sum of the plain lengths
//   24     8  backup number                     32    32  root: SHA-256 over the frames' 16-byte
//   32     8  lease number                                hashes of stored bytes, in order
//   40     4  pack number                       64     4  CRC-32C of bytes 0 to 63
//   44     4  CRC-32C of bytes 0 to 43

inline constexpr std::size_t kPackHeaderSize = 48;
inline constexpr std::size_t kPackTrailerSize = 68;

/// Where a frame lies and what it must be. Stands in page maps, so that packs of older backups can
/// be pointed into.
struct FrameRef {
    PackId pack;
    std::uint64_t offset = 0; ///< of the frame's header in the pack
    std::uint32_t stored_length = 0;
    std::uint32_t plain_length = 0;
    std::uint64_t xxh3 = 0;
    stream::Sha16 sha16{};
    friend bool operator==(const FrameRef&, const FrameRef&) = default;
};

/// A finished pack, as the manifest lists it. Every stored byte hangs on `root`: headers by their
/// CRC and the page map's copy, stored bytes by their hashes.
struct PackInfo {
    PackId id;
    std::uint64_t length = 0;
    std::uint32_t frames = 0;
    std::uint64_t plain_bytes = 0;
    stream::Sha256Digest root{};
    friend bool operator==(const PackInfo&, const PackInfo&) = default;
};

/// Numbers the packs of one backup; shared by its workers.
class PackNumbers {
public:
    std::uint32_t next() { return next_.fetch_add(1); }

private:
    std::atomic<std::uint32_t> next_{0};
};

struct PackOptions {
    MemberId member;
    Number backup = 0;
    Number lease = 0;
    stream::Compression compression;
    std::uint64_t rotate_at = 1ULL << 30; ///< a new pack begins once one has this many bytes
};

/// Writes frames into packs, one pack at a time. One thread each. Abandons what is not finished.
class PackWriter {
public:
    PackWriter(store::Storage& storage, PackNumbers& numbers, PackOptions options);
    PackWriter(PackWriter&&) noexcept;
    ~PackWriter();

    /// 1 to kMaxFramePlain bytes. The frame is durable when finish() has returned.
    FrameRef append(base::ByteView plain);
    /// Commits the pack under way. All packs of this writer, in order; none if nothing was
    /// appended.
    std::vector<PackInfo> finish();
    /// Bytes of all its packs so far.
    std::uint64_t written() const;
    /// Of these, what the store has on its disks (store::ObjectWriter::durable).
    std::uint64_t durable() const;

private:
    struct Open;
    void begin();
    void commit();

    store::Storage& storage_;
    PackNumbers& numbers_;
    PackOptions options_;
    FrameSealer sealer_;
    std::unique_ptr<Open> open_;
    std::vector<PackInfo> done_;
    std::uint64_t done_bytes_ = 0;
};

/// Reads frames of one member's packs. One thread each; keeps its buffers.
class PackReader {
public:
    PackReader(store::Storage& storage, MemberId member);

    /// The plain bytes, with header and hashes checked against `ref`; valid until the next call.
    /// They begin on a page boundary, so that they can be written past the page cache.
    /// Error{not_restorable} names pack and offset.
    base::ByteView read(const FrameRef& ref);

private:
    store::Storage& storage_;
    MemberId member_;
    stream::Decompressor decompressor_;
    base::Bytes stored_;
    base::AlignedBuffer plain_;
};

/// Reads a whole pack and checks every byte of it: header, each frame's hashes (the plain ones too
/// if `unpack`), trailer, root, length. What the pack says of itself is returned and is to be
/// compared with the manifest.
struct PackScan {
    bool unpack = false;
    std::function<void(const FrameRef&)> frame = {}; ///< called for each, if set
};
/// Error{failed} when anything is not as it must be.
PackInfo parse_pack(base::ByteSource& source, const PackId& pack, const PackScan& how);
/// The same for the stored object; Error{not_restorable} names it.
PackInfo scan_pack(store::Storage& storage, const MemberId& member, const PackId& pack,
                   const PackScan& how);

} // namespace tidemark::repo
