#include "base/check.h"
#include "base/error.h"
#include "base/io.h"
#include "repo/damage.h"
#include "repo/piece_parts.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::Bytes;
using base::ByteSpan;
using base::ByteView;
using base::Code;
using base::Error;

namespace {

struct Header {
    PieceInfo info;
    std::uint32_t frames = 0;
};

Header decode_header(ByteView bytes)
{
    ByteReader in(bytes, "piece header");
    check_skippable(in, kPieceHeaderSize - kSkippableSize, "piece header");
    check_preamble(in, kPiecePreamble, "log piece");
    check_crc(bytes, "the piece's header");
    Header header;
    PieceInfo& info = header.info;
    info.engine = static_cast<EngineTag>(in.u32());
    info.system_id = in.u64();
    info.range.epoch = in.u32();
    info.segment_size = in.u32();
    info.version_num = in.u32();
    info.range.from = in.u64();
    info.range.to = in.u64();
    header.frames = in.u32();
    if (in.u32() != 0 || info.range.from >= info.range.to || header.frames == 0 ||
        header.frames > kMaxPieceFrames) {
        throw Error{Code::failed, "the piece's header is not sound"};
    }
    if (info.engine != EngineTag::postgresql) throw too_new("a log piece of another engine", 1);
    return header;
}

struct Trailer {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> lengths; ///< stored, plain
    stream::Sha256Digest before{}; ///< of everything up to this digest
    std::uint64_t covered = 0;     ///< bytes of the trailer in `before`
};

/// `room` is how many bytes the frames have, `plain` how many they must give.
Trailer decode_trailer(ByteView bytes, std::uint32_t frames, std::uint64_t room,
                       std::uint64_t plain)
{
    ByteReader in(bytes, "piece trailer");
    check_skippable(in, bytes.size() - kSkippableSize, "piece trailer");
    check_crc(bytes, "the piece's trailer");
    if (in.u32() != kPieceTrailerMagic || in.u32() != frames) {
        throw Error{Code::failed, "does not end like a log piece"};
    }
    Trailer trailer;
    std::uint64_t stored_sum = 0;
    std::uint64_t plain_sum = 0;
    for (std::uint32_t i = 0; i < frames; ++i) {
        std::uint32_t stored = in.u32();
        std::uint32_t length = in.u32();
        if (length == 0 || length > kPieceFrame || stored > kMaxFrameStored) {
            throw Error{Code::failed, fmt::format("frame {} has impossible lengths", i)};
        }
        stored_sum += kFrameHeaderSize + stored;
        plain_sum += length;
        trailer.lengths.emplace_back(stored, length);
    }
    if (in.u64() != plain || plain_sum != plain || stored_sum != room) {
        throw Error{Code::failed, "the frames' lengths do not add up"};
    }
    trailer.covered = in.offset();
    trailer.before = get_array<32>(in);
    if (in.u32() != 0) throw Error{Code::failed, "the piece's trailer is not sound"};
    return trailer;
}

/// `bytes` are header and stored bytes of frame `number`, whose plain length the trailer told.
void open_piece_frame(ByteView bytes, std::size_t number, ByteSpan plain,
                      stream::Decompressor& decompressor)
{
    FrameHeader header = decode_frame_header(bytes.first(kFrameHeaderSize));
    if (header.number != number || header.plain_length != plain.size() ||
        header.stored_length != bytes.size() - kFrameHeaderSize) {
        throw Error{Code::failed, fmt::format("frame {} is not the one in the trailer", number)};
    }
    open_frame(header, bytes.subspan(kFrameHeaderSize), plain, decompressor);
}

void check_size(std::uint64_t size, std::uint32_t frames)
{
    if (size < kPieceHeaderSize + piece_trailer_size(frames) + frames * (kFrameHeaderSize + 1)) {
        throw Error{Code::failed, fmt::format("has {} bytes, too few for {} frames", size, frames)};
    }
}

} // namespace

ParsedPiece parse_piece(ByteView object, std::size_t limit)
{
    if (object.size() < kPieceHeaderSize) throw Error{Code::failed, "is too short for a log piece"};
    Header header = decode_header(object.first(kPieceHeaderSize));
    check_size(object.size(), header.frames);
    std::size_t tail = piece_trailer_size(header.frames);
    ByteView frames = object.subspan(kPieceHeaderSize, object.size() - kPieceHeaderSize - tail);
    std::uint64_t plain = header.info.range.to - header.info.range.from;
    Trailer trailer = decode_trailer(object.last(tail), header.frames, frames.size(), plain);
    stream::Sha256Digest before =
        stream::sha256(object.first(object.size() - tail + trailer.covered));
    if (before != trailer.before) throw Error{Code::failed, "the piece fails its SHA-256"};
    if (plain > limit)
        throw Error{Code::failed, fmt::format("holds more than {} bytes of log", limit)};
    ParsedPiece piece{.info = header.info, .log = Bytes(plain)};
    stream::Decompressor decompressor;
    std::size_t number = 0;
    std::size_t at = 0;
    for (auto [stored, length] : trailer.lengths) {
        open_piece_frame(frames.first(kFrameHeaderSize + stored), number++,
                         ByteSpan(piece.log).subspan(at, length), decompressor);
        frames = frames.subspan(kFrameHeaderSize + stored);
        at += length;
    }
    return piece;
}

namespace {

/// Bytes [offset, offset + into.size()) of an object that has them.
void read_range(store::Storage& storage, std::string_view key, std::uint64_t offset, ByteSpan into)
{
    auto source = storage.open(key, store::Range{.offset = offset, .length = into.size()});
    if (!source) throw missing(key);
    if (!into.empty() && !base::read_exactly(*source, into)) {
        throw Error{Code::failed, fmt::format("ends before byte {}", offset)};
    }
}

} // namespace

PieceReader::PieceReader(store::Storage& storage, const MemberId& member, const PieceId& piece)
    : storage_(storage), id_(piece), key_(piece_key(member, piece))
{
    parsing(key_, [&] { open(); });
}

void PieceReader::open()
{
    auto stat = storage_.stat(key_);
    if (!stat) throw missing(key_);
    size_ = stat->size;
    if (size_ < kPieceHeaderSize) throw Error{Code::failed, "is too short for a log piece"};
    Bytes head(kPieceHeaderSize);
    read_range(storage_, key_, 0, head);
    Header header = decode_header(head);
    info_ = header.info;
    if (info_.range != id_.range)
        throw Error{Code::failed, "holds another range than its name says"};
    check_size(size_, header.frames);
    Bytes tail(piece_trailer_size(header.frames));
    read_range(storage_, key_, size_ - tail.size(), tail);
    frames_.resize(header.frames);
    read_table(tail);
}

void PieceReader::read_table(ByteView tail)
{
    std::uint64_t room = size_ - tail.size() - kPieceHeaderSize;
    Trailer trailer = decode_trailer(tail, static_cast<std::uint32_t>(frames_.size()), room,
                                     info_.range.to - info_.range.from);
    std::uint64_t offset = kPieceHeaderSize;
    std::uint64_t plain_at = 0;
    for (std::size_t i = 0; i < frames_.size(); ++i) {
        auto [stored, plain] = trailer.lengths[i];
        frames_[i] = {.offset = offset, .plain_at = plain_at, .stored = stored, .plain = plain};
        offset += kFrameHeaderSize + stored;
        plain_at += plain;
    }
}

void PieceReader::load(std::size_t number)
{
    if (loaded_ == number) return;
    loaded_.reset();
    const Frame& frame = frames_[number];
    stored_.resize(kFrameHeaderSize + frame.stored);
    plain_.resize(frame.plain);
    parsing(key_, [&] {
        read_range(storage_, key_, frame.offset, stored_);
        open_piece_frame(stored_, number, plain_, decompressor_);
    });
    loaded_ = number;
}

void PieceReader::read(model::Offset from, ByteSpan into)
{
    CHECK(from >= info_.range.from && from <= info_.range.to &&
          into.size() <= info_.range.to - from);
    std::uint64_t at = from - info_.range.from;
    auto after =
        std::upper_bound(frames_.begin(), frames_.end(), at,
                         [](std::uint64_t value, const Frame& f) { return value < f.plain_at; });
    auto number = static_cast<std::size_t>(after - frames_.begin()) - 1;
    while (!into.empty()) {
        load(number);
        std::size_t skip = at - frames_[number].plain_at;
        std::size_t count = std::min<std::size_t>(into.size(), plain_.size() - skip);
        std::memcpy(into.data(), plain_.data() + skip, count);
        into = into.subspan(count);
        at += count;
        ++number;
    }
}

stream::Sha256Digest PieceReader::verify(const std::optional<stream::Sha256Digest>& expected)
{
    stream::Sha256 whole;
    parsing(key_, [&] {
        Bytes part(kPieceHeaderSize);
        read_range(storage_, key_, 0, part);
        whole.update(part);
        for (std::size_t i = 0; i < frames_.size(); ++i) {
            loaded_.reset();
            load(i);
            whole.update(stored_);
        }
        Bytes tail(piece_trailer_size(frames_.size()));
        read_range(storage_, key_, size_ - tail.size(), tail);
        auto plain = info_.range.to - info_.range.from;
        Trailer trailer = decode_trailer(tail, static_cast<std::uint32_t>(frames_.size()),
                                         size_ - tail.size() - kPieceHeaderSize, plain);
        whole.update(ByteView(tail).first(trailer.covered));
        if (whole.digest() != trailer.before)
            throw Error{Code::failed, "the piece fails its SHA-256"};
        whole.update(ByteView(tail).subspan(trailer.covered));
    });
    stream::Sha256Digest digest = whole.digest();
    if (expected && *expected != digest)
        throw damaged(key_, "its SHA-256 is not the one in its index");
    return digest;
}

} // namespace tidemark::repo
