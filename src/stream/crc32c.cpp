#include "stream/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tidemark::stream {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;

std::uint64_t load64(const std::byte* at)
{
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

using ByteTable = std::array<std::uint32_t, 256>;

/// tables[k][b]: the register after byte b and k zero bytes.
constexpr std::array<ByteTable, 8> make_slices()
{
    std::array<ByteTable, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][byte] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t byte = 0; byte < 256; ++byte) {
            std::uint32_t crc = tables[k - 1][byte];
            tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
        }
    return tables;
}

constexpr std::array<ByteTable, 8> kSlices = make_slices();

std::uint32_t extend_by_tables(std::uint32_t crc, const std::byte* at, std::size_t size)
{
    for (; size >= 8; at += 8, size -= 8) {
        std::uint64_t word = load64(at) ^ crc;
        crc = 0;
        for (std::size_t k = 0; k < 8; ++k)
            crc ^= kSlices[7 - k][(word >> (8 * k)) & 0xFF];
    }
    for (; size > 0; ++at, --size)
        crc = (crc >> 8) ^ kSlices[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xFF];
    return crc;
}

#if defined(__x86_64__)

/// The register after N zero bytes is a linear map of the register before them: one table for
/// each of its four bytes.
using ZeroTables = std::array<ByteTable, 4>;

template <std::size_t N> constexpr ZeroTables make_zeros()
{
    // Images of the 32 single bits, by squaring the map of one zero bit.
    std::array<std::uint32_t, 32> step{};
    step[0] = kPolynomial;
    for (std::size_t bit = 1; bit < 32; ++bit)
        step[bit] = 1U << (bit - 1);
    auto apply = [](const std::array<std::uint32_t, 32>& map, std::uint32_t value) {
        std::uint32_t image = 0;
        for (std::size_t bit = 0; value != 0; ++bit, value >>= 1)
            if ((value & 1) != 0) image ^= map[bit];
        return image;
    };
    std::array<std::uint32_t, 32> total{};
    for (std::size_t bit = 0; bit < 32; ++bit)
        total[bit] = 1U << bit;
    for (std::size_t bits = N * 8; bits != 0; bits >>= 1) {
        if ((bits & 1) != 0)
            for (std::uint32_t& image : total)
                image = apply(step, image);
        auto squared = step;
        for (std::uint32_t& image : squared)
            image = apply(step, image);
        step = squared;
    }
    ZeroTables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte)
        for (std::uint32_t lane = 0; lane < 4; ++lane)
            tables[lane][byte] = apply(total, byte << (8 * lane));
    return tables;
}

/// The instruction takes three cycles and one can start in each: three lanes of the input run side
/// by side and are joined. A lane of 1 KiB suits page images, the short one ordinary records.
constexpr std::size_t kLongLane = 1024;
constexpr std::size_t kShortLane = 128;
const ZeroTables kLongZeros = make_zeros<kLongLane>();
const ZeroTables kShortZeros = make_zeros<kShortLane>();

std::uint32_t append_zeros(const ZeroTables& zeros, std::uint32_t crc)
{
    return zeros[0][crc & 0xFF] ^ zeros[1][(crc >> 8) & 0xFF] ^ zeros[2][(crc >> 16) & 0xFF] ^
           zeros[3][crc >> 24];
}

template <std::size_t Lane>
__attribute__((target("sse4.2"))) std::uint32_t three_lanes(const ZeroTables& zeros,
                                                            std::uint32_t crc, const std::byte* at)
{
    std::uint64_t first = crc;
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const std::byte* end = at + Lane; at != end; at += 8) {
        first = _mm_crc32_u64(first, load64(at));
        second = _mm_crc32_u64(second, load64(at + Lane));
        third = _mm_crc32_u64(third, load64(at + 2 * Lane));
    }
    crc = append_zeros(zeros, static_cast<std::uint32_t>(first));
    crc = append_zeros(zeros, crc ^ static_cast<std::uint32_t>(second));
    return crc ^ static_cast<std::uint32_t>(third);
}

__attribute__((target("sse4.2"))) std::uint32_t extend_sse42(std::uint32_t crc, const std::byte* at,
                                                             std::size_t size)
{
    for (; size >= 3 * kLongLane; at += 3 * kLongLane, size -= 3 * kLongLane)
        crc = three_lanes<kLongLane>(kLongZeros, crc, at);
    for (; size >= 3 * kShortLane; at += 3 * kShortLane, size -= 3 * kShortLane)
        crc = three_lanes<kShortLane>(kShortZeros, crc, at);
    std::uint64_t wide = crc;
    for (; size >= 8; at += 8, size -= 8)
        wide = _mm_crc32_u64(wide, load64(at));
    crc = static_cast<std::uint32_t>(wide);
    for (; size > 0; ++at, --size)
        crc = _mm_crc32_u8(crc, std::to_integer<std::uint8_t>(*at));
    return crc;
}

#endif

using Extend = std::uint32_t (*)(std::uint32_t, const std::byte*, std::size_t);

Extend choose_extend()
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return extend_sse42;
#endif
    return extend_by_tables;
}

} // namespace

std::uint32_t crc32c(base::ByteView bytes, std::uint32_t before)
{
    static const Extend extend = choose_extend();
    return ~extend(~before, bytes.data(), bytes.size());
}

std::uint32_t crc32c_by_tables(base::ByteView bytes, std::uint32_t before)
{
    return ~extend_by_tables(~before, bytes.data(), bytes.size());
}

} // namespace tidemark::stream
