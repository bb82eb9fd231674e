#include "stream/zstd.h"

#include "base/error.h"

#include <gtest/gtest.h>
#include <random>

namespace tidemark::stream {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;

Bytes sample(std::size_t size, unsigned symbols)
{
    std::mt19937 random(static_cast<unsigned>(size) + symbols);
    Bytes out(size);
    for (std::byte& b : out)
        b = static_cast<std::byte>(random() % symbols);
    return out;
}

Bytes compress(Compression how, ByteView plain, Codec& codec)
{
    Compressor compressor(how);
    Bytes out(Compressor::bound(plain.size()));
    auto result = compressor.compress(plain, out);
    codec = result.codec;
    out.resize(result.stored);
    return out;
}

TEST(ZstdTest, EveryLevelComesBack)
{
    for (int level : {-5, -1, 0, 1, 2, 3, 9, 19}) {
        for (std::size_t size : {0UL, 1UL, 1000UL, 300'000UL}) {
            for (unsigned symbols : {1U, 4U, 256U}) {
                Bytes plain = sample(size, symbols);
                Codec codec{};
                Bytes stored = compress(compression_of_level(level), plain, codec);
                EXPECT_EQ(codec, level == 0 ? Codec::none : Codec::zstd);
                Bytes back(size);
                Decompressor().decompress(codec, stored, back);
                EXPECT_EQ(back, plain) << level << " " << size << " " << symbols;
            }
        }
    }
}

TEST(ZstdTest, LevelsOutsideAreRefused)
{
    EXPECT_THROW(compression_of_level(20), Error);
    EXPECT_THROW(compression_of_level(-6), Error);
    EXPECT_THROW(Compressor({.codec = Codec::zstd, .level = 99}), Error);
}

TEST(ZstdTest, ABombIsRefusedBeforeItOpens)
{
    Codec codec{};
    Bytes bomb = compress({.level = 1}, Bytes(64 << 20), codec);
    EXPECT_LT(bomb.size(), 20'000U);
    Bytes small(4096);
    EXPECT_THROW(Decompressor().decompress(codec, bomb, small), Error);
}

TEST(ZstdTest, OnlyExactlyOneFrameIsTaken)
{
    Bytes plain = sample(1000, 4);
    Codec codec{};
    Bytes stored = compress({.level = 1}, plain, codec);
    Bytes back(plain.size());
    Decompressor decompressor;
    for (std::size_t size = 0; size < stored.size(); ++size) {
        EXPECT_THROW(decompressor.decompress(codec, ByteView(stored).first(size), back), Error);
    }
    Bytes twice = stored;
    twice.insert(twice.end(), stored.begin(), stored.end());
    EXPECT_THROW(decompressor.decompress(codec, twice, back), Error);
    Bytes longer(plain.size() + 1);
    EXPECT_THROW(decompressor.decompress(codec, stored, longer), Error);
    EXPECT_THROW(decompressor.decompress(Codec::none, stored, back), Error);
    decompressor.decompress(codec, stored, back); // an error leaves nothing behind
    EXPECT_EQ(back, plain);
}

} // namespace
} // namespace tidemark::stream
