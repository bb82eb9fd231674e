#include "engine/fake/fake_record.h"

#include "base/check.h"
#include "base/error.h"

namespace tidemark::engine::fake {

namespace {

using base::Code;
using base::Error;

constexpr std::size_t kHeader = 36;
constexpr std::uint32_t kFillerSum = 0xF111E5;
constexpr std::uint32_t kMaxRecord = 1 << 20;

std::uint32_t fnv(base::ByteView bytes)
{
    std::uint32_t hash = 2166136261U;
    for (std::byte b : bytes)
        hash = (hash ^ std::to_integer<std::uint32_t>(b)) * 16777619U;
    return hash == kFillerSum ? 1 : hash;
}

} // namespace

base::Bytes encode_record(const Record& record)
{
    CHECK(record.text.size() <= kMaxText);
    base::ByteWriter body;
    body.u8(static_cast<std::uint8_t>(record.kind));
    body.u8(0);
    body.u16(0);
    body.u32(record.xid);
    body.i64(record.at.time_since_epoch().count());
    body.u32(record.database);
    body.u32(record.owner);
    body.text(record.text);
    while (body.size() % 8 != 0)
        body.u8(0);
    base::ByteWriter out;
    out.u32(static_cast<std::uint32_t>(body.size() + 8));
    out.u32(fnv(body.bytes()));
    out.raw(body.bytes());
    return out.take();
}

base::Bytes encode_filler(std::size_t size)
{
    CHECK(size >= 8 && size % 8 == 0 && size <= kMaxRecord);
    base::ByteWriter out;
    out.u32(static_cast<std::uint32_t>(size));
    out.u32(kFillerSum);
    base::Bytes bytes = out.take();
    bytes.resize(size);
    return bytes;
}

std::optional<Decoded> decode_record(base::ByteView bytes)
{
    if (bytes.size() < 8) return std::nullopt;
    const std::uint32_t size = base::load_u32(bytes.data());
    const std::uint32_t sum = base::load_u32(bytes.data() + 4);
    if (size < 8 || size % 8 != 0 || size > kMaxRecord)
        throw Error{Code::failed, "a record of the log has an impossible length"};
    if (bytes.size() < size) return std::nullopt;
    Decoded out{.record = {.kind = RecordKind::filler}, .size = size};
    if (sum == kFillerSum) return out;
    const base::ByteView body = bytes.subspan(8, size - 8);
    if (size < kHeader || fnv(body) != sum)
        throw Error{Code::failed, "a record of the log is corrupted"};
    base::ByteReader reader(body, "record");
    out.record.kind = static_cast<RecordKind>(reader.u8());
    reader.skip(3);
    out.record.xid = reader.u32();
    out.record.at = base::Time{base::Duration{reader.i64()}};
    out.record.database = reader.u32();
    out.record.owner = reader.u32();
    out.record.text = reader.text(kMaxText);
    return out;
}

} // namespace tidemark::engine::fake
