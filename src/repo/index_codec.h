#pragma once

#include "base/bytes.h"
#include "model/log_events.h"
#include "stream/checksum.h"

#include <string>

namespace tidemark::repo {

// The index of a log piece. Derived from the piece; `reindex` makes it again.
//
//   at  size
//    0    16  "TMKLOGI\n", major 1 u16, minor 0 u16, flags 0 u32
//   16    32  SHA-256 of the piece's object
//   48     8  size of the piece's object
//   56     4  number of sections
//   60     .  sections: kind u16, zero u16, length u32, payload
//  end     4  CRC-32C of everything before
//
// Sections in ascending order of kind, each once. A reader leaves out unknown ones from 0x8000 on
// and refuses others. v: varint, z: zigzag varint, d(x): difference to x as a zigzag varint; text:
// v length, bytes.
// clang-format off
//   1 summary         v epoch, v from, v to - from, u8 present (1 first record, 2 last record's
//                     end, 4 unfinished), d(from) of each of these that is present, v records,
//                     v commits, v rollbacks, v full-page images, text key of the piece
//   2 transactions    v count, then each: u8 kind, d(range's epoch) epoch,
//                     d(start before; first: from) start, d(start) end, v xid, text gid,
//                     d(time before; first: 0) microseconds since 1970, v database, v owner
//   3 restore points  v count, then each: d epoch, d start, d(start) end, d time (as above),
//                     text name
//   4 times           v count, then each: d start, d time
//   5 notices         v count, then each: u8 kind, d start, text detail
//   6 unread          v count (not 0), then each: d(from) from, v to - from, text why
// clang-format on
// Section 6 is there only when part of the piece could not be read: what lies between from and to
// is missing in the other sections.

/// No index is larger.
inline constexpr std::size_t kMaxIndexBytes = 256u << 20;

struct StoredIndex {
    model::LogIndex index;
    stream::Sha256Digest piece_sha256{};
    std::uint64_t piece_size = 0;
    std::string piece_key;
    friend bool operator==(const StoredIndex&, const StoredIndex&) = default;
};

base::Bytes encode_index(const StoredIndex& stored);
/// Error{failed} for what is not a sound index, Error{repository_newer} for an unknown version or
/// section.
StoredIndex decode_index(base::ByteView bytes);

} // namespace tidemark::repo
