#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace tidemark::repo {

/// RFC 4648 with padding.
std::string to_base64(base::ByteView bytes);
/// Empty for anything but canonical base64 (wrong length, characters, padding, spare bits).
std::optional<base::Bytes> from_base64(std::string_view text);

} // namespace tidemark::repo
