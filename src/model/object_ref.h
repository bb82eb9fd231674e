#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tidemark::model {

/// A SHA-256 of stored bytes.
using Digest = std::array<std::byte, 32>;

/// How one stored object names another: where it is, how long, and what its bytes hash to.
struct ObjectRef {
    std::string key;
    std::uint64_t size = 0; ///< stored bytes
    Digest sha256{};
    friend bool operator==(const ObjectRef&, const ObjectRef&) = default;
};

} // namespace tidemark::model
