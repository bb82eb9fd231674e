#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace tidemark::job {

/// What practice leaves free on a disk that production writes to: a tenth of it, at least 256 MiB,
/// at most 4 GiB. A server that finds no room for its log ends with PANIC.
std::uint64_t margin_of(std::uint64_t disk_bytes);

/// The first of `places` that lies on the file system of `folder`. What cannot be looked at is
/// passed over.
std::optional<std::filesystem::path> on_disk_of(const std::filesystem::path& folder,
                                                const std::vector<std::filesystem::path>& places);

/// Watches what is free on a disk that a drill shares with production, and stops the drill before
/// it is used up, by whomever.
class ProductionDisk {
public:
    /// `folder` is the drill's, `place` what of production's is on the same disk, `outer` stops the
    /// drill for other reasons. Error when the disk cannot be looked at.
    ProductionDisk(std::filesystem::path folder, std::filesystem::path place,
                   std::stop_token outer);

    std::uint64_t margin() const { return margin_; }
    const std::filesystem::path& place() const { return place_; }
    /// For the drill's work: stopped with `outer`, or when less than the margin is free.
    std::stop_token stop() const { return stop_.get_token(); }
    /// Error{out_of_space} when less than that is free, or was when the drill was stopped.
    void require_margin() const;

private:
    std::optional<std::uint64_t> free_bytes() const;
    void watch(std::stop_token end);

    std::filesystem::path folder_, place_;
    std::uint64_t margin_ = 0;
    std::atomic<bool> touched_ = false;
    std::stop_source stop_;
    std::stop_callback<std::function<void()>> pass_on_;
    std::jthread watcher_; // uses all of the above, so it ends first
};

} // namespace tidemark::job
