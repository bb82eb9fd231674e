#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace tidemark::stream {

/// CRC-32C (Castagnoli, reflected 0x82F63B78, RFC 3720 appendix B.4) of `bytes`. `before` is the
/// CRC of the bytes that precede them, so crc32c(b, crc32c(a)) is the CRC of a followed by b.
/// Uses SSE 4.2 where the machine has it, chosen when first called.
std::uint32_t crc32c(base::ByteView bytes, std::uint32_t before = 0);

/// The same by tables; what crc32c() does on a machine without the instruction.
std::uint32_t crc32c_by_tables(base::ByteView bytes, std::uint32_t before = 0);

} // namespace tidemark::stream
