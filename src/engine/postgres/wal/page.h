#pragma once

#include "engine/postgres/wal/layout.h"
#include "engine/postgres/wal/status.h"

#include "base/bytes.h"
#include "model/log_position.h"

#include <optional>

namespace tidemark::engine::postgres::wal {

/// XLP_ flags of a page header.
enum PageFlag : std::uint16_t {
    kContinues = 0x0001,  ///< the page begins with the rest of a record
    kLongHeader = 0x0002, ///< first page of a segment
    kRemovable = 0x0004,  ///< says something of page images; no matter here
    kOverwrites = 0x0008, ///< the record that should go on here was given up after a crash
    kAllPageFlags = 0x000F,
};

struct PageHeader {
    std::uint16_t magic = 0;
    std::uint16_t flags = 0;
    model::Epoch timeline = 0;
    model::Offset address = 0;
    std::uint32_t remaining = 0; ///< bytes of the spanning record from here on, headers not counted
    std::uint64_t system_id = 0; ///< this and the rest: long headers only
    std::uint32_t segment_size = 0;
    std::uint32_t page_size = 0;

    bool has(PageFlag flag) const { return (flags & flag) != 0; }
    std::uint32_t size() const { return has(kLongHeader) ? kLongPageHeader : kShortPageHeader; }
};

/// What the pages of one log must say.
struct LogIdentity {
    const Layout* layout = nullptr; ///< never null once a reader is built
    std::uint32_t segment_size = 0;
    std::optional<std::uint64_t> system_id;
    /// Pages may carry this timeline or, where its first segment repeats its parent's, an older
    /// one.
    model::Epoch timeline = 0;

    /// Header size of the page at `address`.
    std::uint32_t header_size(model::Offset address) const
    {
        return address % segment_size == 0 ? kLongPageHeader : kShortPageHeader;
    }
};

/// `bytes` must hold a short header, and a long one where its flag says so.
PageHeader load_page_header(const std::byte* bytes);

/// Does this header belong at `address`? `newest` is the highest timeline seen on pages before:
/// timelines never step back.
Fault check_page_header(const PageHeader& header, model::Offset address,
                        const LogIdentity& identity, model::Epoch newest);

/// What the first page of a segment tells of its log: layout, segment size, system identifier,
/// timeline. Nothing when it is no such page or of an unknown version.
std::optional<LogIdentity> identify_segment(base::ByteView first_page);

} // namespace tidemark::engine::postgres::wal
