#pragma once

#include "repo/container.h"
#include "repo/page_map.h"

namespace tidemark::repo {

// Between page_map_writer.cpp and page_map_reader.cpp.
inline constexpr Preamble kPageMapPreamble{.magic = "TMKPMAP\n", .major = 1, .minor = 0};
inline constexpr std::uint32_t kChunkMagic = 0x43504D54;          // "TMPC"
inline constexpr std::uint32_t kPageMapTrailerMagic = 0x54504D54; // "TMPT"
inline constexpr std::uint8_t kFileRecord = 1;
inline constexpr std::uint8_t kFrameRecord = 2;

} // namespace tidemark::repo
