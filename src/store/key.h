#pragma once

#include <string_view>

namespace tidemark::store {

/// Bounds that every kind of store can hold: S3 allows 1024 bytes, file systems 255 a name.
inline constexpr std::size_t kKeyLimit = 1024;
inline constexpr std::size_t kKeyPartLimit = 255;

/// Whether `key` can name an object (see Storage).
bool valid_key(std::string_view key) noexcept;
/// Whether `prefix` could start a valid key; the empty one does.
bool valid_prefix(std::string_view prefix) noexcept;

/// Error{usage} when it is not.
void require_key(std::string_view key);
void require_prefix(std::string_view prefix);

} // namespace tidemark::store
