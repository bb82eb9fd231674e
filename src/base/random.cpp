#include "base/random.h"

#include "base/check.h"
#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sys/random.h>

namespace tidemark::base {

std::uint64_t Random::next()
{
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

std::uint64_t Random::below(std::uint64_t bound)
{
    CHECK(bound > 0);
    // The lowest values are drawn again so that each remainder is equally likely.
    std::uint64_t uneven = (std::numeric_limits<std::uint64_t>::max() - bound + 1) % bound;
    std::uint64_t value = next();
    while (value < uneven)
        value = next();
    return value % bound;
}

double Random::unit()
{
    return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

void SystemRandom::fill(ByteSpan into)
{
    while (!into.empty()) {
        ssize_t got = ::getrandom(into.data(), into.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw system_error("cannot get random bytes", errno);
        into = into.subspan(static_cast<std::size_t>(got));
    }
}

std::string random_hex(std::size_t bytes)
{
    Bytes drawn(bytes);
    SystemRandom{}.fill(drawn);
    return to_hex(drawn);
}

void SeededRandom::fill(ByteSpan into)
{
    std::lock_guard lock{mutex_};
    while (!into.empty()) {
        std::uint64_t value = engine_();
        std::size_t part = std::min(into.size(), sizeof value);
        std::memcpy(into.data(), &value, part);
        into = into.subspan(part);
    }
}

} // namespace tidemark::base
