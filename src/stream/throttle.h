#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace tidemark::stream {

/// A token bucket of bytes, shared by the workers of one member (`rate` of the configuration). It
/// never sleeps: it says how long the caller is to wait, so that waiting can be cut short by a stop
/// token.
class Throttle {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Options {
        std::uint64_t bytes_per_second = 0; ///< 0: unlimited
        std::uint64_t burst = 0;            ///< 0: what half a second allows
    };

    explicit Throttle(Options options);

    /// Takes `bytes` now and returns how long to wait before going on; zero while the bucket lasts.
    std::chrono::microseconds take(std::uint64_t bytes, TimePoint now);

private:
    std::mutex mutex_;
    double rate_;
    double burst_;
    double tokens_;
    TimePoint last_{};
};

} // namespace tidemark::stream
