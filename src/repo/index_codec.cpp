#include "repo/index_codec.h"

#include "base/check.h"
#include "base/error.h"
#include "repo/container.h"
#include "repo/damage.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Code;
using base::Error;
using model::LogIndex;

namespace {

constexpr Preamble kIndexPreamble{.magic = "TMKLOGI\n", .major = 1, .minor = 0};
constexpr std::size_t kMinSize = kPreambleSize + 32 + 8 + 4 + 4;
constexpr std::size_t kMaxText = 1U << 20;
constexpr std::uint16_t kOptional = 0x8000;

enum Section : std::uint16_t {
    kSummary = 1,
    kTransactions = 2,
    kRestorePoints = 3,
    kTimes = 4,
    kNotices = 5,
    kUnread = 6,
};

std::uint64_t micros(base::Time time)
{
    return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

/// Starts and times of a section's entries, each as a difference to the one before.
struct Cursor {
    std::uint64_t start = 0;
    std::uint64_t time = 0;

    void put_start(ByteWriter& out, std::uint64_t value)
    {
        put_delta(out, value, start);
        start = value;
    }
    void put_time(ByteWriter& out, base::Time value)
    {
        put_delta(out, micros(value), time);
        time = micros(value);
    }
    std::uint64_t get_start(ByteReader& in) { return start = get_delta(in, start); }
    base::Time get_time(ByteReader& in)
    {
        time = get_delta(in, time);
        return base::Time{base::Duration{static_cast<std::int64_t>(time)}};
    }
};

std::uint32_t get_u32(ByteReader& in, std::string_view what)
{
    return static_cast<std::uint32_t>(get_varint(in, ~0U, what));
}

std::uint32_t get_epoch(ByteReader& in, const LogIndex& index)
{
    std::uint64_t epoch = get_delta(in, index.range.epoch);
    if (epoch > ~0U) throw Error{Code::failed, "an epoch is out of range"};
    return static_cast<std::uint32_t>(epoch);
}

template <typename Enum> Enum get_kind(ByteReader& in, Enum last)
{
    std::uint8_t value = in.u8();
    if (value < 1 || value > static_cast<std::uint8_t>(last)) {
        throw Error{Code::failed, fmt::format("holds an event of unknown kind {}", value)};
    }
    return static_cast<Enum>(value);
}

/// A count of entries that take at least `least` bytes each.
std::size_t get_count(ByteReader& in, std::size_t least)
{
    return static_cast<std::size_t>(get_varint(in, in.remaining() / least, "a count"));
}

void put_summary(ByteWriter& out, const StoredIndex& stored)
{
    const LogIndex& index = stored.index;
    put_varint(out, index.range.epoch);
    put_varint(out, index.range.from);
    put_varint(out, index.range.to - index.range.from);
    bool ended = index.last_record_end != 0;
    out.u8(static_cast<std::uint8_t>((index.first_record ? 1 : 0) | (ended ? 2 : 0) |
                                     (index.unfinished ? 4 : 0)));
    if (index.first_record) put_delta(out, *index.first_record, index.range.from);
    if (ended) put_delta(out, index.last_record_end, index.range.from);
    if (index.unfinished) put_delta(out, *index.unfinished, index.range.from);
    for (std::uint64_t count :
         {index.records, index.commits, index.rollbacks, index.full_page_images}) {
        put_varint(out, count);
    }
    put_text(out, stored.piece_key);
}

void get_summary(ByteReader& in, StoredIndex& stored)
{
    LogIndex& index = stored.index;
    index.range.epoch = get_u32(in, "an epoch");
    index.range.from = get_varint(in);
    index.range.to = index.range.from + get_varint(in, ~index.range.from, "a range's length");
    std::uint8_t present = in.u8();
    if (present > 7) throw Error{Code::failed, "the summary has unknown fields"};
    if ((present & 1) != 0) index.first_record = get_delta(in, index.range.from);
    if ((present & 2) != 0) index.last_record_end = get_delta(in, index.range.from);
    if ((present & 4) != 0) index.unfinished = get_delta(in, index.range.from);
    index.records = get_varint(in);
    index.commits = get_varint(in);
    index.rollbacks = get_varint(in);
    index.full_page_images = get_varint(in);
    stored.piece_key = get_text(in, kMaxText, "a key's length");
}

void put_transactions(ByteWriter& out, const LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    put_varint(out, index.transactions.size());
    for (const model::TransactionEvent& event : index.transactions) {
        out.u8(static_cast<std::uint8_t>(event.kind));
        put_delta(out, event.epoch, index.range.epoch);
        cursor.put_start(out, event.start);
        put_delta(out, event.end, event.start);
        put_varint(out, event.xid);
        put_text(out, event.gid);
        cursor.put_time(out, event.at);
        put_varint(out, event.database);
        put_varint(out, event.owner);
    }
}

void get_transactions(ByteReader& in, LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    index.transactions.resize(get_count(in, 9));
    for (model::TransactionEvent& event : index.transactions) {
        event.kind = get_kind(in, model::EventKind::rollback);
        event.epoch = get_epoch(in, index);
        event.start = cursor.get_start(in);
        event.end = get_delta(in, event.start);
        event.xid = get_u32(in, "an xid");
        event.gid = get_text(in, kMaxText, "a gid's length");
        event.at = cursor.get_time(in);
        event.database = get_u32(in, "a database");
        event.owner = get_u32(in, "an owner");
    }
}

void put_restore_points(ByteWriter& out, const LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    put_varint(out, index.restore_points.size());
    for (const model::RestorePointEvent& event : index.restore_points) {
        put_delta(out, event.epoch, index.range.epoch);
        cursor.put_start(out, event.start);
        put_delta(out, event.end, event.start);
        cursor.put_time(out, event.at);
        put_text(out, event.name);
    }
}

void get_restore_points(ByteReader& in, LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    index.restore_points.resize(get_count(in, 5));
    for (model::RestorePointEvent& event : index.restore_points) {
        event.epoch = get_epoch(in, index);
        event.start = cursor.get_start(in);
        event.end = get_delta(in, event.start);
        event.at = cursor.get_time(in);
        event.name = get_text(in, kMaxText, "a name's length");
    }
}

void put_times(ByteWriter& out, const LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    put_varint(out, index.times.size());
    for (const model::TimePoint& point : index.times) {
        cursor.put_start(out, point.start);
        cursor.put_time(out, point.at);
    }
}

void get_times(ByteReader& in, LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    index.times.resize(get_count(in, 2));
    for (model::TimePoint& point : index.times) {
        point.start = cursor.get_start(in);
        point.at = cursor.get_time(in);
    }
}

void put_notices(ByteWriter& out, const LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    put_varint(out, index.notices.size());
    for (const model::LogNotice& notice : index.notices) {
        out.u8(static_cast<std::uint8_t>(notice.kind));
        cursor.put_start(out, notice.start);
        put_text(out, notice.detail);
    }
}

void get_notices(ByteReader& in, LogIndex& index)
{
    Cursor cursor{.start = index.range.from};
    index.notices.resize(get_count(in, 3));
    for (model::LogNotice& notice : index.notices) {
        notice.kind = get_kind(in, model::LogNoticeKind::tablespace_created);
        notice.start = cursor.get_start(in);
        notice.detail = get_text(in, kMaxText, "a notice's length");
    }
}

void put_unread(ByteWriter& out, const LogIndex& index)
{
    put_varint(out, index.unread.size());
    for (const model::UnreadLog& hole : index.unread) {
        put_delta(out, hole.from, index.range.from);
        put_varint(out, hole.to - hole.from);
        put_text(out, hole.why);
    }
}

void get_unread(ByteReader& in, LogIndex& index)
{
    index.unread.resize(get_count(in, 3));
    for (model::UnreadLog& hole : index.unread) {
        hole.from = get_delta(in, index.range.from);
        if (hole.from < index.range.from || hole.from > index.range.to)
            throw Error{Code::failed, "log that was not read lies outside the range"};
        hole.to = hole.from + get_varint(in, index.range.to - hole.from, "a range's length");
        hole.why = get_text(in, kMaxText, "a reason's length");
    }
}

template <typename Put> void put_section(ByteWriter& out, Section kind, Put&& put)
{
    ByteWriter payload;
    put(payload);
    CHECK(payload.size() <= ~0U);
    out.u16(kind);
    out.u16(0);
    out.u32(static_cast<std::uint32_t>(payload.size()));
    out.raw(payload.bytes());
}

void get_section(std::uint16_t kind, ByteView payload, StoredIndex& stored)
{
    ByteReader in(payload, fmt::format("section {}", kind));
    switch (kind) {
    case kSummary:
        get_summary(in, stored);
        break;
    case kTransactions:
        get_transactions(in, stored.index);
        break;
    case kRestorePoints:
        get_restore_points(in, stored.index);
        break;
    case kTimes:
        get_times(in, stored.index);
        break;
    case kNotices:
        get_notices(in, stored.index);
        break;
    case kUnread:
        get_unread(in, stored.index);
        break;
    default:
        if (kind < kOptional)
            throw too_new(fmt::format("index section {}", kind), kIndexPreamble.major);
        return;
    }
    if (in.remaining() != 0) throw Error{Code::failed, fmt::format("section {} is too long", kind)};
}

} // namespace

Bytes encode_index(const StoredIndex& stored)
{
    const LogIndex& index = stored.index;
    CHECK(index.range.from <= index.range.to);
    ByteWriter out;
    put_preamble(out, kIndexPreamble);
    out.raw(stored.piece_sha256);
    out.u64(stored.piece_size);
    out.u32(index.unread.empty() ? 5 : 6);
    put_section(out, kSummary, [&](ByteWriter& to) { put_summary(to, stored); });
    put_section(out, kTransactions, [&](ByteWriter& to) { put_transactions(to, index); });
    put_section(out, kRestorePoints, [&](ByteWriter& to) { put_restore_points(to, index); });
    put_section(out, kTimes, [&](ByteWriter& to) { put_times(to, index); });
    put_section(out, kNotices, [&](ByteWriter& to) { put_notices(to, index); });
    if (!index.unread.empty())
        put_section(out, kUnread, [&](ByteWriter& to) { put_unread(to, index); });
    put_crc(out);
    return out.take();
}

StoredIndex decode_index(ByteView bytes)
{
    ByteReader in(bytes, "index");
    check_preamble(in, kIndexPreamble, "log index");
    if (bytes.size() < kMinSize) throw Error{Code::failed, "is too short for a log index"};
    check_crc(bytes, "the index");
    StoredIndex stored;
    stored.piece_sha256 = get_array<32>(in);
    stored.piece_size = in.u64();
    std::uint32_t sections = in.u32();
    std::uint16_t last = 0;
    for (std::uint32_t i = 0; i < sections; ++i) {
        std::uint16_t kind = in.u16();
        std::uint16_t zero = in.u16();
        std::uint32_t length = in.u32();
        // The summary comes first: the others count from its range.
        if (kind <= last || zero != 0 || (last == 0 && kind != kSummary)) {
            throw Error{Code::failed, fmt::format("section {} is out of place", kind)};
        }
        last = kind;
        get_section(kind, in.view(length), stored);
    }
    if (last == 0 || in.remaining() != 4) throw Error{Code::failed, "the sections do not add up"};
    return stored;
}

} // namespace tidemark::repo
