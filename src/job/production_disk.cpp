#include "job/production_disk.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <utility>

namespace tidemark::job {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kLeastMargin = 256ULL << 20;
constexpr std::uint64_t kMostMargin = 4ULL << 30;
/// What a fast disk takes meanwhile is well below the margin of one of its size.
constexpr std::chrono::milliseconds kLookEvery{250};

std::uint64_t capacity_of(const fs::path& folder)
{
    struct statvfs info = {};
    if (::statvfs(folder.c_str(), &info) != 0)
        throw base::system_error("cannot look at " + folder.string(), errno);
    return static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize;
}

} // namespace

std::uint64_t margin_of(std::uint64_t disk_bytes)
{
    return std::clamp(disk_bytes / 10, kLeastMargin, kMostMargin);
}

std::optional<fs::path> on_disk_of(const fs::path& folder, const std::vector<fs::path>& places)
{
    struct stat ours = {};
    if (::stat(folder.c_str(), &ours) != 0) return std::nullopt;
    for (const auto& place : places) {
        struct stat theirs = {};
        if (::stat(place.c_str(), &theirs) == 0 && theirs.st_dev == ours.st_dev) return place;
    }
    return std::nullopt;
}

ProductionDisk::ProductionDisk(fs::path folder, fs::path place, std::stop_token outer)
    : folder_(std::move(folder)), place_(std::move(place)),
      margin_(margin_of(capacity_of(folder_))),
      pass_on_(std::move(outer), [this] { stop_.request_stop(); }),
      watcher_([this](std::stop_token end) { watch(std::move(end)); })
{
}

std::optional<std::uint64_t> ProductionDisk::free_bytes() const
{
    struct statvfs info = {};
    if (::statvfs(folder_.c_str(), &info) != 0) return std::nullopt; // others will run into it
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

void ProductionDisk::watch(std::stop_token end)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!end.stop_requested()) {
        auto left = free_bytes();
        if (left && *left < margin_) {
            touched_ = true;
            stop_.request_stop();
            return;
        }
        wake.wait_for(lock, end, kLookEvery, [] { return false; });
    }
}

void ProductionDisk::require_margin() const
{
    auto left = free_bytes();
    if (!touched_ && (!left || *left >= margin_)) return;
    throw base::Error{
        base::Code::out_of_space,
        fmt::format("the drill was stopped, because less than {} had come to be free in {}, on the "
                    "disk of {}",
                    base::format_size(margin_), folder_.string(), place_.string()),
        {.hint = "let --dir name a folder on a disk that production does not write to, or free "
                 "space there"}};
}

} // namespace tidemark::job
