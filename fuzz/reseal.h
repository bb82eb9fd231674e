#pragma once

#include "base/bytes.h"
#include "stream/crc32c.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace tidemark::fuzz {

/// A fuzzer's bytes as ours. The first byte tells a target whether to make checksums right before
/// parsing, so that what lies behind them is reached too.
struct Input {
    Input(const std::uint8_t* data, std::size_t size)
    {
        auto all = std::as_bytes(std::span(data, size));
        if (all.empty()) return;
        reseal = (all[0] & std::byte{1}) != std::byte{0};
        bytes.assign(all.begin() + 1, all.end());
    }
    bool reseal = false;
    base::Bytes bytes;
};

/// Puts the CRC-32C of [from, at) at `at`, if all of it lies within `bytes`.
inline void put_crc(base::Bytes& bytes, std::size_t from, std::size_t at)
{
    if (at < from || at > bytes.size() || bytes.size() - at < 4) return;
    std::uint32_t crc = stream::crc32c(base::ByteView(bytes).subspan(from, at - from));
    std::memcpy(bytes.data() + at, &crc, sizeof crc);
}

/// Copies `from` to `at`, if it lies within `bytes`.
inline void put(base::Bytes& bytes, std::size_t at, base::ByteView from)
{
    if (at > bytes.size() || bytes.size() - at < from.size()) return;
    std::ranges::copy(from, bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

} // namespace tidemark::fuzz
