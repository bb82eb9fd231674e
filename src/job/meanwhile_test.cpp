#include "job/meanwhile.h"

#include "base/error.h"
#include "job/world_testing.h"

#include <latch>
#include <stdexcept>

namespace tidemark::job {
namespace {

/// Keeps notes.
class Notes final : public Progress {
public:
    void stage(std::string_view, std::string_view, std::uint64_t) override {}
    void advance(std::string_view, std::uint64_t) override {}
    void finished(std::string_view) override {}
    void note(std::string_view text) override
    {
        std::lock_guard lock(mutex_);
        all_ += text;
    }
    void warn(std::string_view) override {}
    std::string all()
    {
        std::lock_guard lock(mutex_);
        return all_;
    }

private:
    std::mutex mutex_;
    std::string all_;
};

TEST(MeanwhileTest, NothingThatItThrowsEndsTheBackupBesideIt)
{
    World world;
    Notes notes;
    auto quiet = world.context();
    std::latch turns(2);
    std::atomic<int> turn = 0;
    Meanwhile meanwhile(quiet.telling(notes), "mark", std::chrono::milliseconds{1},
                        [&](const Context&) {
                            auto now = ++turn;
                            if (now <= 2) turns.count_down();
                            if (now == 1) throw std::runtime_error("no memory");
                        });
    turns.wait();
    EXPECT_GE(meanwhile.finish(), 1U);
    EXPECT_NE(notes.all().find("no mark while the full backup runs: no memory"), std::string::npos);
}

TEST(MeanwhileTest, ANoteIsNotRepeatedBeforeATurnWentWell)
{
    World world;
    Notes notes;
    auto quiet = world.context();
    std::latch turns(6);
    std::atomic<int> turn = 0;
    Meanwhile meanwhile(quiet.telling(notes), "log backup", std::chrono::milliseconds{1},
                        [&](const Context& aside) {
                            auto now = ++turn;
                            if (now <= 6) turns.count_down();
                            if (now == 3 || now > 4) return;
                            aside.progress.note("[b is stored all the same]");
                            throw base::Error{base::Code::failed, "a is down"};
                        });
    turns.wait();
    meanwhile.finish();
    auto said = notes.all();
    std::size_t times = 0;
    for (auto at = said.find("[b is"); at != said.npos; at = said.find("[b is", at + 1))
        ++times;
    EXPECT_EQ(times, 2U) << said;
}

TEST(MeanwhileTest, FailuresInARowAreOneWarning)
{
    World world;
    auto context = world.context();
    std::latch turns(5);
    std::atomic<int> turn = 0;
    Meanwhile meanwhile(context, "mark", std::chrono::milliseconds{1}, [&](const Context&) {
        if (++turn <= 5) turns.count_down();
        throw base::Error{base::Code::failed, "a is down"};
    });
    turns.wait();
    EXPECT_EQ(meanwhile.finish(), 0U);
    auto said = world.progress().warnings();
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0], "no mark while the full backup runs: a is down (3 times in a row)");
}

} // namespace
} // namespace tidemark::job
