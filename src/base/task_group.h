#pragma once

#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace tidemark::base {

/// Threads that belong together: the first error stops the siblings and comes out of wait(). Each
/// add() is one thread at once; how many is the caller's business. add() and wait() are called by
/// the owner only, tasks may call stop() and token().
class TaskGroup {
public:
    /// Stops too when `parent` is stopped.
    explicit TaskGroup(std::stop_token parent = {});
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    /// Stops and joins what wait() has not joined; its error is dropped.
    ~TaskGroup();

    /// `task` is called with the group's stop token, on its own thread.
    template <typename Task> void add(Task task)
    {
        threads_.emplace_back([this, task = std::move(task)]() mutable {
            try {
                task(stop_.get_token());
            } catch (...) {
                fail(std::current_exception());
            }
        });
    }

    /// Asks every task to stop. wait() then returns without an error unless a task threw one.
    void stop() { stop_.request_stop(); }
    std::stop_token token() const { return stop_.get_token(); }

    /// Joins all tasks, then throws the first error. The group can be used again only when it was
    /// not stopped.
    void wait();

private:
    void fail(std::exception_ptr error) noexcept;

    std::stop_source stop_;
    std::optional<std::stop_callback<std::function<void()>>> parent_;
    std::mutex mutex_;
    std::exception_ptr first_error_;
    std::vector<std::jthread> threads_;
};

} // namespace tidemark::base
