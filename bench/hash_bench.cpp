#include "stream/checksum.h"
#include "stream/crc32c.h"
#include "stream/page_checksum.h"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <random>

/// GB/s on one core of what a backup and a restore do with each byte besides compressing it.
///
///   tidemark_bench_hash

namespace {

using namespace tidemark;

constexpr std::size_t kSize = 64U << 20;
constexpr int kRuns = 16;

double cpu_seconds()
{
    timespec now = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <typename Work> void time(const char* what, base::ByteView bytes, Work work)
{
    std::uint64_t all = work(bytes); // what comes out is printed, so that nothing is left out
    double start = cpu_seconds();
    for (int i = 0; i < kRuns; ++i)
        all ^= work(bytes) + static_cast<std::uint64_t>(i);
    double cpu = cpu_seconds() - start;
    fmt::print("{:28} {:7.2f} GB/s of CPU time   ({:x})\n", what,
               static_cast<double>(bytes.size()) * kRuns / cpu / 1e9, all);
}

} // namespace

int main()
{
    base::Bytes bytes(kSize);
    std::mt19937_64 random(1);
    for (std::size_t at = 0; at < kSize; at += 8) {
        auto value = random();
        std::memcpy(bytes.data() + at, &value, 8);
    }
    time("page checksum", bytes, [](base::ByteView all) {
        std::uint64_t sum = 0;
        for (std::size_t at = 0; at < all.size(); at += stream::kPageSize) {
            auto block = static_cast<std::uint32_t>(at / stream::kPageSize);
            sum += stream::page_checksum(all.data() + at, block);
        }
        return sum;
    });
    time("XXH3 of plain bytes", bytes, [](base::ByteView all) { return stream::xxh3_64(all); });
    time("SHA-256 of stored bytes", bytes,
         [](base::ByteView all) { return std::to_integer<std::uint64_t>(stream::sha256(all)[0]); });
    time("CRC-32C of log records", bytes,
         [](base::ByteView all) { return std::uint64_t{stream::crc32c(all)}; });
    return 0;
}
