#pragma once

#include "repo/lease.h"

namespace tidemark::repo {

base::Bytes encode_lease(const LeaseState& state);
/// `renewed` is not in the object: it is when the store says the object was made.
LeaseState decode_lease(base::ByteView bytes, const std::string& key, base::Time renewed);

} // namespace tidemark::repo
