#include "stream/checksum.h"

#include <gtest/gtest.h>

namespace tidemark::stream {
namespace {

TEST(ChecksumTest, Sha256KnownAnswers)
{
    EXPECT_EQ(base::to_hex(sha256({})),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(base::to_hex(sha256(base::as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(base::to_hex(sha16(base::as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223");
}

TEST(ChecksumTest, Sha256InPartsGoesOnAfterADigest)
{
    Sha256 hash;
    hash.update(base::as_bytes("a"));
    EXPECT_EQ(hash.digest(), sha256(base::as_bytes("a")));
    hash.update(base::as_bytes("bc"));
    EXPECT_EQ(hash.digest(), sha256(base::as_bytes("abc")));
    EXPECT_EQ(hash.digest(), sha256(base::as_bytes("abc")));
}

TEST(ChecksumTest, Xxh3KnownAnswers)
{
    EXPECT_EQ(xxh3_64({}), 0x2D06800538D394C2ULL);
}

} // namespace
} // namespace tidemark::stream
