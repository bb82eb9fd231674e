#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace tidemark::app {

/// Lets threads through one step at a time until it is closed; close() waits for those inside.
class Gate {
public:
    /// Waits while the gate is closed. False when stopped.
    bool enter(std::stop_token stop)
    {
        std::unique_lock lock{mutex_};
        // An open gate satisfies wait() even after a stop.
        if (!changed_.wait(lock, stop, [&] { return !closed_; }) || stop.stop_requested()) {
            return false;
        }
        ++inside_;
        return true;
    }

    void leave()
    {
        std::lock_guard lock{mutex_};
        --inside_;
        changed_.notify_all();
    }

    void close()
    {
        std::unique_lock lock{mutex_};
        closed_ = true;
        changed_.wait(lock, [&] { return inside_ == 0; });
    }

    void open()
    {
        std::lock_guard lock{mutex_};
        closed_ = false;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    int inside_ = 0;
    bool closed_ = false;
};

} // namespace tidemark::app
