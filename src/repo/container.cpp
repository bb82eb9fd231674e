#include "repo/container.h"

#include "base/check.h"
#include "base/error.h"
#include "repo/damage.h"
#include "stream/crc32c.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::ByteView;
using base::ByteWriter;
using base::Code;
using base::Error;

void put_preamble(ByteWriter& out, const Preamble& preamble)
{
    CHECK(preamble.magic.size() == 8);
    out.raw(base::as_bytes(preamble.magic));
    out.u16(preamble.major);
    out.u16(preamble.minor);
    out.u32(0); // flags: none is defined yet; an unknown one is refused
}

void check_preamble(ByteReader& in, const Preamble& known, std::string_view what)
{
    if (base::as_text(in.view(8)) != known.magic) {
        throw Error{Code::failed, fmt::format("does not begin like a {}", what)};
    }
    std::uint16_t major = in.u16();
    in.u16(); // a minor version adds what older readers may leave out
    std::uint32_t flags = in.u32();
    if (major != known.major) throw too_new(what, major);
    if (flags != 0) throw too_new(fmt::format("{} with flags {:#x}", what, flags), major);
}

void put_crc(ByteWriter& out, std::size_t from)
{
    out.u32(stream::crc32c(ByteView(out.bytes()).subspan(from)));
}

bool crc_holds(ByteView bytes)
{
    if (bytes.size() < 4) return false;
    ByteView body = bytes.first(bytes.size() - 4);
    return stream::crc32c(body) == base::load_u32(bytes.data() + body.size());
}

void check_crc(ByteView bytes, std::string_view what)
{
    if (!crc_holds(bytes)) throw Error{Code::failed, fmt::format("{} fails its CRC", what)};
}

void put_skippable(ByteWriter& out, std::size_t content)
{
    out.u32(kSkippable);
    out.u32(static_cast<std::uint32_t>(content));
}

void check_skippable(ByteReader& in, std::size_t content, std::string_view what)
{
    std::uint32_t magic = in.u32();
    std::uint32_t length = in.u32();
    if (magic != kSkippable || length != content) {
        throw Error{Code::failed, fmt::format("does not hold a {} where one must be", what)};
    }
}

void put_varint(ByteWriter& out, std::uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        out.u8(static_cast<std::uint8_t>(value | 0x80));
    out.u8(static_cast<std::uint8_t>(value));
}

std::uint64_t get_varint(ByteReader& in)
{
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        std::uint64_t group = in.u8();
        std::uint64_t bits = group & 0x7F;
        if (shift == 63 && bits > 1) break;
        value |= bits << shift;
        if ((group & 0x80) != 0) continue;
        if (bits == 0 && shift != 0) break;
        return value;
    }
    throw Error{Code::failed, fmt::format("holds a malformed number before byte {}", in.offset())};
}

std::uint64_t get_varint(ByteReader& in, std::uint64_t limit, std::string_view what)
{
    std::uint64_t value = get_varint(in);
    if (value > limit) {
        throw Error{Code::failed, fmt::format("{} is {}, more than {}", what, value, limit)};
    }
    return value;
}

void put_zigzag(ByteWriter& out, std::int64_t value)
{
    auto bits = static_cast<std::uint64_t>(value);
    put_varint(out, (bits << 1) ^ (value < 0 ? ~0ULL : 0));
}

std::int64_t get_zigzag(ByteReader& in)
{
    std::uint64_t value = get_varint(in);
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

void put_delta(ByteWriter& out, std::uint64_t value, std::uint64_t base)
{
    put_zigzag(out, static_cast<std::int64_t>(value - base));
}

std::uint64_t get_delta(ByteReader& in, std::uint64_t base)
{
    return base + static_cast<std::uint64_t>(get_zigzag(in));
}

void put_text(ByteWriter& out, std::string_view text)
{
    put_varint(out, text.size());
    out.raw(base::as_bytes(text));
}

std::string get_text(ByteReader& in, std::size_t limit, std::string_view what)
{
    std::uint64_t length = get_varint(in, limit, what);
    return std::string(base::as_text(in.view(static_cast<std::size_t>(length))));
}

} // namespace tidemark::repo
