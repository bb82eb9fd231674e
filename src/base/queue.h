#pragma once

#include "base/check.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace tidemark::base {

/// A queue between threads that holds at most `capacity` items, so that a fast producer waits for a
/// slow consumer instead of filling the memory. Any number of threads on both sides.
template <typename T> class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }

    /// Waits for room. False, and the item is dropped, when stopped or closed.
    bool push(T item, std::stop_token stop = {})
    {
        std::unique_lock lock{mutex_};
        bool ready =
            changed_.wait(lock, stop, [&] { return closed_ || items_.size() < capacity_; });
        if (!ready || closed_) return false;
        items_.push_back(std::move(item));
        changed_.notify_all();
        return true;
    }

    /// Waits for an item. Empty when stopped, or when closed and drained.
    std::optional<T> pop(std::stop_token stop = {})
    {
        std::unique_lock lock{mutex_};
        bool ready = changed_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
        if (!ready || items_.empty()) return std::nullopt;
        std::optional<T> item{std::move(items_.front())};
        items_.pop_front();
        changed_.notify_all();
        return item;
    }

    /// No more pushes; what is queued can still be popped.
    void close()
    {
        std::lock_guard lock{mutex_};
        closed_ = true;
        changed_.notify_all();
    }

    std::size_t size() const
    {
        std::lock_guard lock{mutex_};
        return items_.size();
    }

private:
    const std::size_t capacity_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<T> items_;
    bool closed_ = false;
};

} // namespace tidemark::base
