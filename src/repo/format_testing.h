#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "repo/bytes_source.h"
#include "repo/layout.h"

#include <gtest/gtest.h>

namespace tidemark::repo {

// For the tests of the binary formats.

inline const MemberId kTestMember{.group = "shop", .member = "orders"};

/// `parse` must throw base::Error for every single flipped bit and every shorter or longer object.
template <typename Parse>
void expect_every_change_is_found(const base::Bytes& object, Parse&& parse)
{
    EXPECT_NO_THROW(parse(object));
    base::Bytes changed = object;
    for (std::size_t bit = 0; bit < object.size() * 8; ++bit) {
        auto mask = static_cast<std::byte>(1U << (bit % 8));
        changed[bit / 8] ^= mask;
        EXPECT_THROW(parse(changed), base::Error) << "bit " << bit % 8 << " of byte " << bit / 8;
        changed[bit / 8] ^= mask;
    }
    for (std::size_t size = 0; size < object.size(); ++size) {
        base::Bytes cut(object.begin(), object.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_THROW(parse(cut), base::Error) << "cut to " << size;
    }
    changed.push_back(std::byte{0});
    EXPECT_THROW(parse(changed), base::Error) << "one byte more";
}

/// Bytes that compress, but not to nothing; the same for the same arguments.
inline base::Bytes test_bytes(std::size_t size, std::uint32_t seed)
{
    base::Bytes out(size);
    std::uint64_t state = seed * 2654435761ULL + 12345;
    for (std::byte& b : out) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        b = static_cast<std::byte>('a' + ((state >> 60) & 7));
    }
    return out;
}

} // namespace tidemark::repo
