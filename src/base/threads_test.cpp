#include "base/error.h"
#include "base/queue.h"
#include "base/task_group.h"

#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>

namespace tidemark::base {
namespace {

void wait_for_stop(std::stop_token stop)
{
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock{mutex};
    changed.wait(lock, stop, [] { return false; });
}

TEST(BoundedQueueTest, KeepsTheOrderAndTheBound)
{
    BoundedQueue<std::unique_ptr<int>> queue{3};
    std::atomic<std::size_t> most = 0;
    TaskGroup group;
    group.add([&](std::stop_token stop) {
        for (int i = 0; i < 1000; ++i)
            queue.push(std::make_unique<int>(i), stop);
        queue.close();
    });
    int expected = 0;
    while (auto item = queue.pop()) {
        most = std::max(most.load(), queue.size());
        EXPECT_EQ(**item, expected++);
    }
    group.wait();
    EXPECT_EQ(expected, 1000);
    EXPECT_LE(most, 3U);
}

TEST(BoundedQueueTest, ManyProducersAndConsumers)
{
    BoundedQueue<int> queue{4};
    std::atomic<int> sum = 0;
    TaskGroup consumers;
    for (int i = 0; i < 4; ++i) {
        consumers.add([&](std::stop_token stop) {
            while (auto item = queue.pop(stop))
                sum += *item;
        });
    }
    TaskGroup producers;
    for (int i = 0; i < 4; ++i) {
        producers.add([&](std::stop_token stop) {
            for (int n = 1; n <= 500; ++n)
                queue.push(n, stop);
        });
    }
    producers.wait();
    queue.close();
    consumers.wait();
    EXPECT_EQ(sum, 4 * 500 * 501 / 2);
}

TEST(BoundedQueueTest, CloseDrainsAndRefuses)
{
    BoundedQueue<int> queue{2};
    EXPECT_TRUE(queue.push(1));
    queue.close();
    EXPECT_FALSE(queue.push(2));
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueueTest, StopWakesBothSides)
{
    BoundedQueue<int> full{1};
    BoundedQueue<int> empty{1};
    full.push(1);
    TaskGroup group;
    group.add([&](std::stop_token stop) { EXPECT_FALSE(full.push(2, stop)); });
    group.add([&](std::stop_token stop) { EXPECT_EQ(empty.pop(stop), std::nullopt); });
    group.stop();
    group.wait();
    EXPECT_EQ(full.size(), 1U);
}

TEST(TaskGroupTest, TheFirstErrorStopsTheSiblings)
{
    TaskGroup group;
    std::atomic<int> stopped = 0;
    for (int i = 0; i < 3; ++i) {
        group.add([&](std::stop_token stop) {
            wait_for_stop(stop);
            ++stopped;
        });
    }
    group.add([](std::stop_token) { throw Error{Code::log_gap, "first"}; });
    try {
        group.wait();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::log_gap);
    }
    EXPECT_EQ(stopped, 3);
    EXPECT_NO_THROW(group.wait()) << "the error is reported once";
}

TEST(TaskGroupTest, OtherExceptionsComeThroughToo)
{
    TaskGroup group;
    group.add([](std::stop_token) { throw std::runtime_error{"other"}; });
    EXPECT_THROW(group.wait(), std::runtime_error);
}

TEST(TaskGroupTest, StopsWithItsParent)
{
    std::stop_source parent;
    TaskGroup group{parent.get_token()};
    group.add([](std::stop_token stop) { wait_for_stop(stop); });
    parent.request_stop();
    group.wait();
    EXPECT_TRUE(group.token().stop_requested());
}

TEST(TaskGroupTest, TheDestructorStopsAndJoins)
{
    std::atomic<bool> ended = false;
    {
        TaskGroup group;
        group.add([&](std::stop_token stop) {
            wait_for_stop(stop);
            ended = true;
        });
    }
    EXPECT_TRUE(ended);
}

TEST(TaskGroupTest, TasksMayOwnWhatCannotBeCopied)
{
    TaskGroup group;
    int result = 0;
    group.add([&, value = std::make_unique<int>(7)](std::stop_token) { result = *value; });
    group.wait();
    EXPECT_EQ(result, 7);
}

} // namespace
} // namespace tidemark::base
