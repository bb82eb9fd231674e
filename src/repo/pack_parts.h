#pragma once

#include "repo/container.h"
#include "repo/pack.h"

namespace tidemark::repo {

// Between pack_writer.cpp and pack_reader.cpp.
inline constexpr Preamble kPackPreamble{.magic = "TMKPACK\n", .major = 1, .minor = 0};
inline constexpr std::uint32_t kPackTrailerMagic = 0x45504D54; // "TMPE"

base::Bytes encode_pack_header(const PackId& id);
base::Bytes encode_pack_trailer(const PackInfo& info);

} // namespace tidemark::repo
