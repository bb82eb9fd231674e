#pragma once

#include "base/clock.h"
#include "base/fd.h"
#include "store/posix_tree.h"

#include <chrono>
#include <memory>
#include <mutex>

namespace tidemark::store {

base::Time modified_time(const struct stat& info);

/// The file system's clock (see open_directory). Touches one file that stays, so that it works on a
/// full disk too.
class PosixClock {
public:
    explicit PosixClock(std::shared_ptr<const PosixTree> tree) : tree_(std::move(tree)) {}
    base::Time now();

private:
    base::Time sample();

    std::shared_ptr<const PosixTree> tree_;
    std::mutex mutex_;
    base::Fd file_;
    base::Time sampled_;
    std::optional<std::chrono::steady_clock::time_point> sampled_at_;
};

} // namespace tidemark::store
