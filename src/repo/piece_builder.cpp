#include "base/check.h"
#include "repo/piece_parts.h"

#include <algorithm>
#include <utility>

namespace tidemark::repo {

using base::Bytes;
using base::ByteView;
using base::ByteWriter;

namespace {

Bytes encode_header(const PieceInfo& info, std::size_t frames)
{
    ByteWriter out;
    put_skippable(out, kPieceHeaderSize - kSkippableSize);
    put_preamble(out, kPiecePreamble);
    out.u32(static_cast<std::uint32_t>(info.engine));
    out.u64(info.system_id);
    out.u32(info.range.epoch);
    out.u32(info.segment_size);
    out.u32(info.version_num);
    out.u64(info.range.from);
    out.u64(info.range.to);
    out.u32(static_cast<std::uint32_t>(frames));
    out.u32(0);
    put_crc(out);
    CHECK(out.size() == kPieceHeaderSize);
    return out.take();
}

/// `object` has hashed everything before the trailer; afterwards it has hashed the trailer too.
Bytes encode_trailer(const std::vector<FrameHeader>& frames, std::uint64_t plain,
                     stream::Sha256& object)
{
    ByteWriter out;
    put_skippable(out, piece_trailer_size(frames.size()) - kSkippableSize);
    out.u32(kPieceTrailerMagic);
    out.u32(static_cast<std::uint32_t>(frames.size()));
    for (const FrameHeader& frame : frames) {
        out.u32(frame.stored_length);
        out.u32(frame.plain_length);
    }
    out.u64(plain);
    std::size_t covered = out.size();
    object.update(out.bytes());
    out.raw(object.digest());
    out.u32(0);
    put_crc(out);
    CHECK(out.size() == piece_trailer_size(frames.size()));
    object.update(ByteView(out.bytes()).subspan(covered));
    return out.take();
}

} // namespace

PieceBuilder::PieceBuilder(PieceInfo info, Options options)
    : info_(info), options_(options), sealer_(stream::compression_of_level(options.level)),
      object_(kPieceHeaderSize)
{
    CHECK(options_.limit > 0 && options_.limit <= kMaxPieceFrames * kPieceFrame);
}

std::size_t PieceBuilder::append(ByteView bytes)
{
    std::size_t taken = std::min(bytes.size(), room());
    bytes = bytes.first(taken);
    while (!bytes.empty()) {
        std::size_t part = std::min(bytes.size(), kPieceFrame - pending_.size());
        pending_.insert(pending_.end(), bytes.begin(),
                        bytes.begin() + static_cast<std::ptrdiff_t>(part));
        bytes = bytes.subspan(part);
        plain_ += part;
        if (pending_.size() == kPieceFrame) seal();
    }
    return taken;
}

void PieceBuilder::seal()
{
    auto number = static_cast<std::uint32_t>(headers_.size());
    headers_.push_back(sealer_.seal(number, pending_));
    ByteView frame = sealer_.bytes();
    object_.insert(object_.end(), frame.begin(), frame.end());
    pending_.clear();
}

BuiltPiece PieceBuilder::finish()
{
    CHECK(plain_ > 0);
    if (!pending_.empty()) seal();
    info_.range.to = end();
    Bytes header = encode_header(info_, headers_.size());
    std::copy(header.begin(), header.end(), object_.begin());
    stream::Sha256 hash;
    hash.update(object_);
    Bytes trailer = encode_trailer(headers_, plain_, hash);
    object_.insert(object_.end(), trailer.begin(), trailer.end());
    BuiltPiece built{.info = info_, .bytes = std::move(object_), .sha256 = hash.digest()};
    return built;
}

} // namespace tidemark::repo
