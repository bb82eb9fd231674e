#pragma once

#include "repo/page_map.h"

#include <atomic>
#include <deque>
#include <vector>

namespace tidemark::repo {

/// Frames of this many plain bytes: measured, docs/decisions/0005.
inline constexpr std::size_t kDefaultFrameSize = 4U << 20;

/// What a backup's workers did so far, for progress and totals. All in bytes but `frames`.
struct PackingCounters {
    std::atomic<std::uint64_t> read{0};  ///< given to add()
    std::atomic<std::uint64_t> zero{0};  ///< of these, left out as zero pages
    std::atomic<std::uint64_t> plain{0}; ///< put into frames
    /// Of `plain`, what is on the store's disks (store::ObjectWriter::durable).
    std::atomic<std::uint64_t> durable{0};
    std::atomic<std::uint64_t> stored{0}; ///< what those frames take in packs, headers included
    std::atomic<std::uint64_t> frames{0};
};

/// One worker's end of a base backup: takes extents of files, leaves out zero pages, bundles the
/// rest across files into frames, writes these to its pack and tells the page map. One thread each;
/// the page map and the counters are shared. Memory: about three frames.
class FramePacker {
public:
    struct Options {
        std::size_t frame_size = kDefaultFrameSize; ///< a multiple of 8 KiB, at most kMaxFramePlain
    };
    FramePacker(PackWriter packs, PageMapWriter& page_map, PackingCounters& counters,
                Options options);

    /// Bytes of file `file` at `offset`. Whole 8 KiB pages of the file that are all zero are not
    /// stored.
    void add(std::uint32_t file, std::uint64_t offset, base::ByteView bytes);
    /// Ends the frame under way.
    void flush();
    /// flush(), and commits the worker's packs. Nothing may follow.
    std::vector<PackInfo> finish();

private:
    struct UnderWay {
        std::uint64_t end = 0; ///< in the bytes of all packs
        std::uint64_t plain = 0;
    };
    void append(std::uint32_t file, std::uint64_t offset, base::ByteView bytes);
    void count_durable();

    PackWriter packs_;
    PageMapWriter& page_map_;
    PackingCounters& counters_;
    Options options_;
    base::Bytes frame_;
    std::vector<Extent> extents_;
    std::deque<UnderWay> under_way_; ///< frames that may not be durable yet
};

} // namespace tidemark::repo
