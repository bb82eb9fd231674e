#include "repo/frame_packer.h"

#include "base/check.h"
#include "stream/page_checksum.h"

#include <algorithm>

namespace tidemark::repo {

using base::ByteView;
using stream::kPageSize;

FramePacker::FramePacker(PackWriter packs, PageMapWriter& page_map, PackingCounters& counters,
                         Options options)
    : packs_(std::move(packs)), page_map_(page_map), counters_(counters), options_(options)
{
    CHECK(options_.frame_size >= kPageSize && options_.frame_size <= kMaxFramePlain &&
          options_.frame_size % kPageSize == 0);
    frame_.reserve(options_.frame_size);
}

void FramePacker::add(std::uint32_t file, std::uint64_t offset, ByteView bytes)
{
    counters_.read += bytes.size();
    std::size_t begin = 0; // of the run that is not zero
    std::size_t at = 0;
    while (at < bytes.size()) {
        std::size_t in_page = static_cast<std::size_t>((offset + at) % kPageSize);
        std::size_t count = std::min(bytes.size() - at, kPageSize - in_page);
        if (count == kPageSize && stream::is_zero(bytes.subspan(at, count))) {
            append(file, offset + begin, bytes.subspan(begin, at - begin));
            begin = at + count;
            counters_.zero += count;
        }
        at += count;
    }
    append(file, offset + begin, bytes.subspan(begin));
}

void FramePacker::append(std::uint32_t file, std::uint64_t offset, ByteView bytes)
{
    while (!bytes.empty()) {
        std::size_t room = options_.frame_size - frame_.size();
        std::size_t count = std::min(bytes.size(), room);
        // Pages stay whole where small files have shifted the frame's end.
        if (count < bytes.size()) count -= count % kPageSize;
        if (count == 0) {
            flush();
            continue;
        }
        auto at = static_cast<std::uint32_t>(frame_.size());
        if (!extents_.empty() && extents_.back().file == file &&
            extents_.back().offset + extents_.back().length == offset) {
            extents_.back().length += static_cast<std::uint32_t>(count);
        } else {
            extents_.push_back({.file = file,
                                .offset = offset,
                                .length = static_cast<std::uint32_t>(count),
                                .plain_offset = at});
        }
        ByteView part = bytes.first(count);
        frame_.insert(frame_.end(), part.begin(), part.end());
        bytes = bytes.subspan(count);
        offset += count;
        if (frame_.size() == options_.frame_size || extents_.size() == kMaxExtents) flush();
    }
}

void FramePacker::flush()
{
    if (frame_.empty()) return;
    FrameRef ref = packs_.append(frame_);
    page_map_.add_frame(ref, extents_);
    counters_.plain += frame_.size();
    counters_.stored += kFrameHeaderSize + ref.stored_length;
    ++counters_.frames;
    under_way_.push_back({packs_.written(), frame_.size()});
    count_durable();
    frame_.clear();
    extents_.clear();
}

std::vector<PackInfo> FramePacker::finish()
{
    flush();
    auto packs = packs_.finish();
    count_durable();
    return packs;
}

void FramePacker::count_durable()
{
    auto durable = packs_.durable();
    while (!under_way_.empty() && under_way_.front().end <= durable) {
        counters_.durable += under_way_.front().plain;
        under_way_.pop_front();
    }
}

} // namespace tidemark::repo
