#include "store/retrying.h"

#include "base/error.h"
#include "store/faulty.h"
#include "store/memory.h"

#include <gtest/gtest.h>

namespace tidemark::store {
namespace {

using base::as_bytes;
using base::Code;
using base::Duration;
using base::Error;
using namespace std::chrono_literals;

class RetryingStorageTest : public testing::Test {
protected:
    RetryingStorageTest()
    {
        put(*faulty_, "a", as_bytes("0123456789"));
        storage_ = make_retrying(faulty_, clock_, random_,
                                 {.first_delay = 100ms,
                                  .longest_delay = 1s,
                                  .deadline = 10s,
                                  .sleep =
                                      [this](Duration time) {
                                          pauses_.push_back(time);
                                          clock_.advance(time);
                                          if (on_pause_) on_pause_();
                                      },
                                  .stop = stop_.get_token()});
    }

    std::shared_ptr<FaultyStorage> faulty_ =
        std::make_shared<FaultyStorage>(std::make_shared<MemoryStorage>());
    base::FakeClock clock_{base::Time{}};
    base::SeededRandom random_{1};
    std::stop_source stop_;
    std::vector<Duration> pauses_;
    std::function<void()> on_pause_;
    std::unique_ptr<Storage> storage_;
    Error transient_{
        Code::repository_unreachable, "timed out", {.hint = "wait", .transient = true}};
    Error final_{Code::repository_unreachable, "gone"};
};

TEST_F(RetryingStorageTest, TransientErrorsAreRepeatedWithGrowingPauses)
{
    faulty_->fail(Operation::stat, transient_, {.after = 0, .times = 6});
    EXPECT_TRUE(storage_->stat("a"));
    ASSERT_EQ(pauses_.size(), 6U);
    Duration ceiling = 100ms;
    for (Duration pause : pauses_) {
        EXPECT_GE(pause, ceiling / 2);
        EXPECT_LE(pause, ceiling);
        ceiling = std::min<Duration>(ceiling * 2, 1s);
    }
}

TEST_F(RetryingStorageTest, OtherErrorsAreNot)
{
    faulty_->fail(Operation::list, final_);
    EXPECT_THROW(storage_->list(""), Error);
    EXPECT_TRUE(pauses_.empty());
    EXPECT_EQ(faulty_->calls(Operation::list), 1U);
}

TEST_F(RetryingStorageTest, TheDeadlineEndsIt)
{
    faulty_->fail(Operation::open, transient_, {.after = 0, .times = FaultyStorage::kAlways});
    try {
        storage_->open("a");
        FAIL() << "opened";
    } catch (const Error& error) {
        EXPECT_NE(std::string_view(error.what()).find("attempts: timed out"),
                  std::string_view::npos)
            << error.what();
        EXPECT_EQ(error.hint(), "wait");
    }
    Duration total{0};
    for (Duration pause : pauses_)
        total += pause;
    EXPECT_LE(total, 10s);
    EXPECT_GE(total, 8s);
}

TEST_F(RetryingStorageTest, AStopEndsIt)
{
    faulty_->fail(Operation::now, transient_, {.after = 0, .times = FaultyStorage::kAlways});
    on_pause_ = [this] { stop_.request_stop(); };
    EXPECT_THROW(storage_->now(), Error);
    EXPECT_EQ(pauses_.size(), 1U);
}

TEST_F(RetryingStorageTest, ReadsGoOnWhereTheyStopped)
{
    auto source = storage_->open("a", Range{2, 6});
    base::Bytes first(3);
    ASSERT_TRUE(base::read_exactly(*source, first));
    faulty_->fail(Operation::read, transient_, {.after = 0, .times = 2});
    faulty_->fail(Operation::open, transient_, {.after = 0, .times = 1});
    EXPECT_EQ(base::as_text(base::read_all(*source, 100)), "567");
    EXPECT_EQ(pauses_.size(), 3U);
}

TEST_F(RetryingStorageTest, WritesAndCommitsAreNotRepeated)
{
    faulty_->fail(Operation::commit, transient_);
    EXPECT_THROW(put(*storage_, "b", as_bytes("1")), Error);
    EXPECT_EQ(faulty_->calls(Operation::commit), 2U) << "one of them from the set-up";
    faulty_->fail(Operation::create, transient_);
    EXPECT_EQ(put(*storage_, "b", as_bytes("1")), Created::yes);
}

TEST_F(RetryingStorageTest, ACrashIsNotRepeated)
{
    auto memory = std::make_shared<MemoryStorage>();
    auto storage = make_retrying(memory, clock_, random_);
    memory->crash_at(1);
    EXPECT_THROW(storage->remove("a"), CrashError);
    EXPECT_THROW(storage->list(""), CrashError);
}

} // namespace
} // namespace tidemark::store
