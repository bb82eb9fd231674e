#include "stream/page_checksum.h"

#include <array>
#include <cstring>

namespace tidemark::stream {

namespace {

// Facts from storage/checksum_impl.h and storage/bufpage.h: 32 lanes of 32-bit words, one
// multiply-and-fold step a word, two steps of zeros at the end, all lanes xored.
constexpr std::size_t kLanes = 32;
constexpr std::size_t kRows = kPageSize / (kLanes * sizeof(std::uint32_t));
constexpr std::uint32_t kPrime = 16777619;
constexpr std::size_t kChecksumAt = 8; // bytes 8 and 9: the low half of word 2
constexpr std::size_t kUpperAt = 14;

alignas(64) constexpr std::array<std::uint32_t, kLanes> kStart = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
};

using Vector16 = std::uint32_t __attribute__((vector_size(16)));
using Vector32 = std::uint32_t __attribute__((vector_size(32)));
using Vector64 = std::uint32_t __attribute__((vector_size(64)));

/// The lanes in as many vectors as they need, all kept in registers: no load or store of a sum in
/// the loop.
template <typename Vector>
[[gnu::always_inline]] inline std::uint32_t block_checksum(const std::byte* page)
{
    constexpr std::size_t kVectors = kLanes * sizeof(std::uint32_t) / sizeof(Vector);
    Vector sums[kVectors];
    std::memcpy(&sums, kStart.data(), sizeof sums);
    for (std::size_t row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i) {
            Vector words;
            std::memcpy(&words, page + row * sizeof sums + i * sizeof words, sizeof words);
            if (row == 0 && i == 0) words[kChecksumAt / 4] &= 0xFFFF0000U;
            words ^= sums[i];
            sums[i] = (words * kPrime) ^ (words >> 17);
        }
    }
    std::uint32_t result = 0;
    for (Vector& sum : sums) {
        for (int round = 0; round < 2; ++round)
            sum = (sum * kPrime) ^ (sum >> 17);
        for (std::size_t i = 0; i < sizeof(Vector) / 4; ++i)
            result ^= sum[i];
    }
    return result;
}

std::uint32_t baseline(const std::byte* page)
{
    return block_checksum<Vector16>(page);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint32_t with_avx2(const std::byte* page)
{
    return block_checksum<Vector32>(page);
}

__attribute__((target("avx512f"))) std::uint32_t with_avx512(const std::byte* page)
{
    return block_checksum<Vector64>(page);
}
#endif

using Function = std::uint32_t (*)(const std::byte*);

Function choose_block_checksum()
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return with_avx512;
    if (__builtin_cpu_supports("avx2")) return with_avx2;
#endif
    return baseline;
}

const Function kBlockChecksum = choose_block_checksum();

} // namespace

std::uint16_t page_checksum(const std::byte* page, std::uint32_t block)
{
    return static_cast<std::uint16_t>((kBlockChecksum(page) ^ block) % 65535 + 1);
}

bool is_zero(base::ByteView bytes)
{
    if (bytes.size() >= 8 && base::load_u64(bytes.data()) != 0) return false;
    if (bytes.empty()) return true;
    // Zero if the first byte is and each byte equals the one before; memcmp is the fastest loop
    // there is.
    return bytes[0] == std::byte{0} &&
           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

PageVerdict check_page(const std::byte* page, std::uint32_t block)
{
    PageVerdict verdict;
    // An LSN is stored as two 32-bit words, the high one first.
    verdict.lsn = (std::uint64_t{base::load_u32(page)} << 32) | base::load_u32(page + 4);
    verdict.stored = base::load_u16(page + kChecksumAt);
    if (base::load_u16(page + kUpperAt) == 0) {
        verdict.state = is_zero({page, kPageSize}) ? PageState::zero : PageState::bad_new;
        return verdict;
    }
    verdict.computed = page_checksum(page, block);
    if (verdict.computed != verdict.stored) verdict.state = PageState::bad_checksum;
    return verdict;
}

} // namespace tidemark::stream
