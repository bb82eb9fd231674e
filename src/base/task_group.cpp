#include "base/task_group.h"

namespace tidemark::base {

TaskGroup::TaskGroup(std::stop_token parent)
{
    if (parent.stop_possible()) {
        parent_.emplace(std::move(parent), [source = stop_]() mutable { source.request_stop(); });
    }
}

TaskGroup::~TaskGroup()
{
    stop();
    threads_.clear();
}

void TaskGroup::fail(std::exception_ptr error) noexcept
{
    {
        std::lock_guard lock{mutex_};
        if (!first_error_) first_error_ = std::move(error);
    }
    stop_.request_stop();
}

void TaskGroup::wait()
{
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
    if (first_error_) std::rethrow_exception(std::exchange(first_error_, nullptr));
}

} // namespace tidemark::base
