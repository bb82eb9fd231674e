#include "repo/frame.h"

#include "base/check.h"
#include "base/error.h"
#include "repo/container.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::ByteView;
using base::Code;
using base::Error;

namespace {

constexpr std::uint32_t kFrameMagic = 0x52464D54; // "TMFR"

base::Bytes encode(const FrameHeader& header)
{
    base::ByteWriter out;
    put_skippable(out, kFrameHeaderSize - kSkippableSize);
    out.u32(kFrameMagic);
    out.u32(header.number);
    out.u8(static_cast<std::uint8_t>(header.codec));
    out.u8(0);
    out.u16(0);
    out.u32(header.stored_length);
    out.u32(header.plain_length);
    out.u64(header.xxh3);
    out.raw(header.sha16);
    put_crc(out);
    CHECK(out.size() == kFrameHeaderSize);
    return out.take();
}

} // namespace

FrameHeader decode_frame_header(ByteView bytes)
{
    CHECK(bytes.size() == kFrameHeaderSize);
    ByteReader in(bytes, "frame header");
    check_skippable(in, kFrameHeaderSize - kSkippableSize, "frame header");
    if (in.u32() != kFrameMagic)
        throw Error{Code::failed, "does not hold a frame where one must be"};
    check_crc(bytes, "a frame header");
    FrameHeader header;
    header.number = in.u32();
    std::uint8_t codec = in.u8();
    bool reserved = in.u8() == 0;
    reserved &= in.u16() == 0;
    header.codec = static_cast<stream::Codec>(codec);
    header.stored_length = in.u32();
    header.plain_length = in.u32();
    header.xxh3 = in.u64();
    header.sha16 = get_array<16>(in);
    if (codec > static_cast<std::uint8_t>(stream::Codec::zstd) || !reserved) {
        throw Error{Code::failed, fmt::format("frame {} uses an unknown codec", header.number)};
    }
    bool lengths = header.plain_length >= 1 && header.plain_length <= kMaxFramePlain &&
                   header.stored_length >= 1 && header.stored_length <= kMaxFrameStored;
    if (header.codec == stream::Codec::none) lengths &= header.stored_length == header.plain_length;
    if (!lengths) {
        throw Error{Code::failed,
                    fmt::format("frame {} declares impossible lengths", header.number)};
    }
    return header;
}

FrameHeader FrameSealer::seal(std::uint32_t number, ByteView plain)
{
    CHECK(!plain.empty() && plain.size() <= kMaxFramePlain);
    std::size_t needed = kFrameHeaderSize + stream::Compressor::bound(plain.size());
    if (buffer_.size() < needed) buffer_.resize(needed);
    auto result = compressor_.compress(plain, base::ByteSpan(buffer_).subspan(kFrameHeaderSize));
    CHECK(result.stored <= kMaxFrameStored);
    ByteView stored = ByteView(buffer_).subspan(kFrameHeaderSize, result.stored);
    FrameHeader header{.number = number,
                       .codec = result.codec,
                       .stored_length = static_cast<std::uint32_t>(result.stored),
                       .plain_length = static_cast<std::uint32_t>(plain.size()),
                       .xxh3 = stream::xxh3_64(plain),
                       .sha16 = stream::sha16(stored)};
    base::Bytes encoded = encode(header);
    std::copy(encoded.begin(), encoded.end(), buffer_.begin());
    size_ = kFrameHeaderSize + result.stored;
    return header;
}

void check_stored(const FrameHeader& header, ByteView stored)
{
    CHECK(stored.size() == header.stored_length);
    if (stream::sha16(stored) != header.sha16) {
        throw Error{Code::failed,
                    fmt::format("the stored bytes of frame {} fail their SHA-256", header.number)};
    }
}

void open_frame(const FrameHeader& header, ByteView stored, base::ByteSpan plain,
                stream::Decompressor& decompressor)
{
    CHECK(plain.size() == header.plain_length);
    check_stored(header, stored);
    base::with_context(fmt::format("frame {}", header.number),
                       [&] { decompressor.decompress(header.codec, stored, plain); });
    if (stream::xxh3_64(plain) != header.xxh3) {
        throw Error{Code::failed,
                    fmt::format("the plain bytes of frame {} fail their XXH3", header.number)};
    }
}

} // namespace tidemark::repo
