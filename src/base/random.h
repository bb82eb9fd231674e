#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>

namespace tidemark::base {

/// Where chance comes from; an argument, so that tests can repeat a run. Safe for several threads.
class Random {
public:
    virtual ~Random() = default;
    virtual void fill(ByteSpan into) = 0;

    std::uint64_t next();
    /// Even distribution over [0, bound); `bound` must not be 0.
    std::uint64_t below(std::uint64_t bound);
    /// In [0, 1).
    double unit();
};

/// getrandom(2): fit for identifiers and keys.
class SystemRandom final : public Random {
public:
    void fill(ByteSpan into) override;
};

/// `bytes` of getrandom(2), two lower-case digits each: a name that nobody else has chosen.
std::string random_hex(std::size_t bytes);

/// The same bytes for the same seed on every machine. For tests, load and demos only.
class SeededRandom final : public Random {
public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(ByteSpan into) override;

private:
    std::mutex mutex_;
    std::mt19937_64 engine_;
};

} // namespace tidemark::base
