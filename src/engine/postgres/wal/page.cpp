#include "engine/postgres/wal/page.h"

namespace tidemark::engine::postgres::wal {

PageHeader load_page_header(const std::byte* bytes)
{
    PageHeader header;
    header.magic = load<std::uint16_t>(bytes);
    header.flags = load<std::uint16_t>(bytes + 2);
    header.timeline = load<std::uint32_t>(bytes + 4);
    header.address = load<std::uint64_t>(bytes + 8);
    header.remaining = load<std::uint32_t>(bytes + 16);
    if (header.has(kLongHeader)) {
        header.system_id = load<std::uint64_t>(bytes + 24);
        header.segment_size = load<std::uint32_t>(bytes + 32);
        header.page_size = load<std::uint32_t>(bytes + 36);
    }
    return header;
}

Fault check_page_header(const PageHeader& header, model::Offset address,
                        const LogIdentity& identity, model::Epoch newest)
{
    if (header.magic != identity.layout->page_magic) return Fault::page_magic;
    if ((header.flags & ~kAllPageFlags) != 0) return Fault::page_flags;
    if (header.has(kLongHeader) != (address % identity.segment_size == 0)) return Fault::page_flags;
    if (header.has(kLongHeader)) {
        if (identity.system_id && header.system_id != *identity.system_id) return Fault::system_id;
        if (header.segment_size != identity.segment_size) return Fault::segment_size;
        if (header.page_size != kPageSize) return Fault::page_size;
    }
    if (header.address != address) return Fault::page_address;
    if (header.timeline < newest || header.timeline > identity.timeline || header.timeline == 0)
        return Fault::page_timeline;
    if (header.has(kContinues) && (header.has(kOverwrites) || header.remaining == 0))
        return Fault::page_flags;
    if (header.has(kContinues) && header.remaining > kMaxRecord) return Fault::record_length;
    return Fault::none;
}

std::optional<LogIdentity> identify_segment(base::ByteView first_page)
{
    if (first_page.size() < kLongPageHeader) return std::nullopt;
    if ((load<std::uint16_t>(first_page.data() + 2) & kLongHeader) == 0) return std::nullopt;
    PageHeader header = load_page_header(first_page.data());
    LogIdentity identity{.layout = layout_of_magic(header.magic),
                         .segment_size = header.segment_size,
                         .system_id = header.system_id,
                         .timeline = header.timeline};
    if (identity.layout == nullptr || !valid_segment_size(header.segment_size) ||
        header.address % header.segment_size != 0)
        return std::nullopt;
    return identity;
}

} // namespace tidemark::engine::postgres::wal
