#pragma once

#include "repo/container.h"
#include "repo/piece.h"

namespace tidemark::repo {

// Between piece_builder.cpp and piece_reader.cpp.
inline constexpr Preamble kPiecePreamble{.magic = "TMKLOGP\n", .major = 1, .minor = 0};
inline constexpr std::uint32_t kPieceTrailerMagic = 0x454C4D54; // "TMLE"

} // namespace tidemark::repo
