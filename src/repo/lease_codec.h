#pragma once

#include "repo/lease.h"

namespace tidemark::repo {

/// A lease or an intent that says it is in force for longer is refused: it would block for ever.
inline constexpr base::Duration kLongestLease = std::chrono::hours{24};

base::Bytes encode_lease(const LeaseState& state);
/// `renewed` is not in the object: it is when the store says the object was made.
LeaseState decode_lease(base::ByteView bytes, const std::string& key, base::Time renewed);

} // namespace tidemark::repo
