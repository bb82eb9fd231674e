#include "stream/crc32c.h"

#include <gtest/gtest.h>
#include <random>

namespace tidemark::stream {
namespace {

using base::Bytes;
using base::ByteView;

Bytes counting(std::size_t size, bool down = false)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(down ? size - 1 - i : i);
    return bytes;
}

/// Bit by bit, from the definition.
std::uint32_t by_definition(ByteView bytes)
{
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
}

TEST(Crc32c, MatchesPublishedVectors)
{
    struct Vector {
        Bytes bytes;
        std::uint32_t crc;
    };
    // RFC 3720 appendix B.4; "123456789" is the usual check value of CRC-32/ISCSI.
    for (const Vector& vector :
         {Vector{Bytes(32, std::byte{0}), 0x8A9136AA},
          Vector{Bytes(32, std::byte{0xFF}), 0x62A8AB43}, Vector{counting(32), 0x46DD794E},
          Vector{counting(32, true), 0x113FDB5C}, Vector{base::to_bytes("123456789"), 0xE3069283},
          Vector{Bytes{}, 0}}) {
        EXPECT_EQ(crc32c(vector.bytes), vector.crc);
        EXPECT_EQ(crc32c_by_tables(vector.bytes), vector.crc);
    }
}

TEST(Crc32c, AgreesWithItsDefinitionAtEveryLengthAndAlignment)
{
    std::mt19937 random(7); // NOLINT: the same bytes every time
    Bytes bytes(16384 + 8);
    for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(random());
    std::vector<std::size_t> lengths;
    for (std::size_t length = 0; length < 900; ++length)
        lengths.push_back(length);
    for (std::size_t length : {3071U, 3072U, 3073U, 3455U, 3456U, 3457U, 8168U, 9216U, 16384U})
        lengths.push_back(length);
    for (std::size_t length : lengths) {
        ByteView view = ByteView(bytes).subspan(length % 8, length);
        ASSERT_EQ(crc32c(view), by_definition(view)) << length;
        ASSERT_EQ(crc32c_by_tables(view), crc32c(view)) << length;
    }
}

TEST(Crc32c, GoesOnWhereItStopped)
{
    Bytes bytes = counting(5000);
    ByteView view = bytes;
    for (std::size_t cut : {0U, 1U, 7U, 20U, 400U, 3072U, 4999U, 5000U}) {
        EXPECT_EQ(crc32c(view.subspan(cut), crc32c(view.first(cut))), crc32c(view));
        EXPECT_EQ(crc32c_by_tables(view.subspan(cut), crc32c_by_tables(view.first(cut))),
                  crc32c(view));
    }
}

} // namespace
} // namespace tidemark::stream
