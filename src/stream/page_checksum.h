#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace tidemark::stream {

/// PostgreSQL's default block size; servers built with another are refused by the engine.
inline constexpr std::size_t kPageSize = 8192;

/// The checksum that a server with data checksums writes into bytes 8 and 9 of the page that is
/// block `block` of its relation fork (storage/checksum_impl.h). `page` has kPageSize bytes; its
/// own checksum field is taken as zero. Never 0.
std::uint16_t page_checksum(const std::byte* page, std::uint32_t block);

/// Only zero bytes. Quick for what is not: mostly decided by the first eight bytes.
bool is_zero(base::ByteView bytes);

enum class PageState : std::uint8_t {
    good,
    zero,         ///< only zero bytes: a page that was added and not yet used
    bad_checksum, ///< torn read or rot
    bad_new, ///< claims to be unused (pd_upper 0) but is not all zero; the server refuses it too
};

struct PageVerdict {
    PageState state = PageState::good;
    std::uint16_t stored = 0;
    std::uint16_t computed = 0;
    std::uint64_t lsn = 0; ///< as the page claims; means nothing on a bad page
    bool ok() const { return state == PageState::good || state == PageState::zero; }
};

/// Judges one page of a relation of a cluster with data checksums.
PageVerdict check_page(const std::byte* page, std::uint32_t block);

} // namespace tidemark::stream
