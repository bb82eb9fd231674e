#include "engine/postgres/wal/xact.h"

#include "engine/postgres/wal/cursor.h"

#include <algorithm>
#include <limits>

namespace tidemark::engine::postgres::wal {

namespace {

constexpr std::uint8_t kKindMask = 0x70;
constexpr std::uint8_t kHasInfo = 0x80;

/// XACT_XINFO_ bits: which parts follow, in this order.
enum XactInfo : std::uint32_t {
    kHasDatabase = 0x01,      ///< u32 database, u32 tablespace
    kHasSubxacts = 0x02,      ///< items of 4: xids
    kHasRelations = 0x04,     ///< items of 12: dropped relation files
    kHasDroppedStats = 0x100, ///< items of Layout::dropped_stats_item; 15 and later
    kHasInvalidations = 0x08, ///< items of 16; commits only
    kHasTwoPhase = 0x10,      ///< u32 xid
    kHasGid = 0x80,           ///< text ending with NUL
};

constexpr std::uint32_t kTwoPhaseMagic = 0x57F94534;
/// GIDSIZE: longest gid with its NUL.
constexpr std::size_t kGidSize = 200;

/// Text that ends with NUL at most `limit` bytes on.
bool read_text(Cursor& cursor, std::size_t limit, std::string_view& text)
{
    auto rest = base::as_text(cursor.rest());
    auto end = rest.substr(0, limit).find('\0');
    if (end == std::string_view::npos) return false;
    text = rest.substr(0, end);
    return cursor.skip(end + 1);
}

bool skip_parts_before_xid(const Layout& layout, bool commit, std::uint32_t info, Cursor& cursor)
{
    if ((info & kHasDatabase) != 0 && !cursor.skip(8)) return false;
    if ((info & kHasSubxacts) != 0 && !cursor.skip_items(4)) return false;
    if ((info & kHasRelations) != 0 && !cursor.skip_items(12)) return false;
    if (layout.dropped_stats_item != 0 && (info & kHasDroppedStats) != 0 &&
        !cursor.skip_items(layout.dropped_stats_item))
        return false;
    return !commit || (info & kHasInvalidations) == 0 || cursor.skip_items(16);
}

} // namespace

base::Time time_from_log(std::int64_t microseconds)
{
    constexpr std::int64_t kEpochShift = 946'684'800'000'000; // 2000-01-01 since 1970
    constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max() - kEpochShift;
    return base::from_postgres_time(std::min(microseconds, kLatest));
}

std::optional<XactKind> xact_kind(const Record& record)
{
    if (record.manager != kTransaction) return std::nullopt;
    auto kind = static_cast<std::uint8_t>(record.info & kKindMask);
    if (kind > static_cast<std::uint8_t>(XactKind::abort_prepared)) return std::nullopt;
    return static_cast<XactKind>(kind);
}

std::optional<XactEnd> decode_xact_end(const Layout& layout, XactKind kind, const Record& record)
{
    bool commit = kind == XactKind::commit || kind == XactKind::commit_prepared;
    bool prepared = kind == XactKind::commit_prepared || kind == XactKind::abort_prepared;
    XactEnd end;
    Cursor cursor(record.main_data);
    std::int64_t at = 0;
    std::uint32_t info = 0;
    if (!cursor.read(at)) return std::nullopt;
    end.at = time_from_log(at);
    if ((record.info & kHasInfo) != 0) {
        if (!cursor.read(info) || !skip_parts_before_xid(layout, commit, info, cursor))
            return std::nullopt;
        if ((info & kHasTwoPhase) != 0) {
            std::uint32_t xid = 0;
            if (!cursor.read(xid)) return std::nullopt;
            end.two_phase_xid = xid;
        }
        if ((info & kHasGid) != 0 && !read_text(cursor, kGidSize, end.gid)) return std::nullopt;
    }
    if (prepared && !end.two_phase_xid) return std::nullopt;
    return end;
}

std::optional<XactPrepare> decode_prepare(const Layout& layout, const Record& record)
{
    base::ByteView data = record.main_data;
    if (data.size() < layout.prepare_header || load<std::uint32_t>(data.data()) != kTwoPhaseMagic)
        return std::nullopt;
    auto gid_length = load<std::uint16_t>(data.data() + layout.gid_length_at);
    Cursor cursor(data.subspan(layout.prepare_header));
    XactPrepare prepare{.xid = load<std::uint32_t>(data.data() + 8),
                        .database = load<std::uint32_t>(data.data() + 12),
                        .owner = load<std::uint32_t>(data.data() + 24),
                        .at = time_from_log(load<std::int64_t>(data.data() + 16)),
                        .gid = {}};
    if (!read_text(cursor, kGidSize, prepare.gid) || prepare.gid.size() + 1 != gid_length)
        return std::nullopt;
    return prepare;
}

} // namespace tidemark::engine::postgres::wal
