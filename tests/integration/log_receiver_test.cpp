// The log backup of one member against a real server that is stopped while it runs.

#include "job/log_receiver.h"

#include "base/error.h"
#include "base/random.h"
#include "engine/postgres/postgres_engine.h"
#include "integration/postgres/member.h"
#include "job/world_testing.h"

#include <future>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

class LogReceiverTest : public ::testing::Test {
protected:
    LogReceiverTest() : member_("a"), storage_(clock_)
    {
        base::log_setup({.level = base::LogLevel::off});
        group_.name = "shop";
        group_.members.push_back(
            {.name = "a", .url = member_.url(), .data_dir = {}, .gid_pattern = "identical"});
        base::SeededRandom random(1);
        repository_.emplace(repo::Repository::create(storage_, random));
        initialise(context(), {.unbounded = true});
        lease_ = repo::Lease::acquire(storage_, "shop", "log", context().owner(), {});
    }

    Context context()
    {
        return {.repository = *repository_,
                .engine = [this](const model::MemberSpec&) -> engine::Engine& { return engine_; },
                .group = group_,
                .progress = progress_,
                .clock = clock_,
                .stop = {},
                .command = "test",
                .host = "here"};
    }

    /// The error that ends receiving when the server is stopped, and how long the stop took.
    std::pair<Code, std::chrono::duration<double>>
    stop_server(const std::function<void(LogReceiver&)>& receive)
    {
        auto world = context();
        auto session = connect(world, group_.members[0]);
        LogReceiver receiver(world, group_.members[0], *session, *lease_);
        receiver.open({});
        member_.noise(500); // log that is held in memory only when the server stops
        auto ended = std::async(std::launch::async, [&] {
            try {
                receive(receiver);
            } catch (const Error& error) {
                return error.code();
            }
            return Code::ok;
        });
        std::this_thread::sleep_for(std::chrono::milliseconds{300});
        auto begin = steady_clock::now();
        member_.cluster().stop();
        auto took = steady_clock::now() - begin;
        return {ended.get(), took};
    }

    base::SystemClock clock_;
    test::Member member_;
    store::MemoryStorage storage_;
    engine::postgres::PostgresEngine engine_;
    model::GroupSpec group_;
    std::optional<repo::Repository> repository_;
    Silent progress_;
    std::unique_ptr<repo::Lease> lease_;
};

TEST_F(LogReceiverTest, AServerThatStopsIsNotHeldUp)
{
    auto [code, took] = stop_server([](LogReceiver& receiver) {
        receiver.advance(model::Offset{1} << 40U, steady_clock::now() + std::chrono::seconds{30},
                         {});
    });
    EXPECT_EQ(code, Code::member_unreachable);
    EXPECT_LT(took.count(), 4.0); // held up, it waits for five seconds
    // It was told of nothing that is not stored. What it remembers of that is older: slots are
    // written by the shutdown checkpoint, whose own record we confirm after that.
    auto catalog = repo::LogCatalog::load(storage_, {"shop", "a"});
    auto end = catalog.durable_end(model::History(1));
    member_.cluster().start();
    auto session = member_.session("tidemark_shop");
    auto restart = session->slot().restart;
    ASSERT_TRUE(end && restart);
    EXPECT_LE(*restart, end->offset);
}

TEST_F(LogReceiverTest, NorWhileOtherMembersAreWaitedFor)
{
    auto [code, took] =
        stop_server([](LogReceiver& receiver) { receiver.keep_up([] { return false; }, {}); });
    EXPECT_EQ(code, Code::member_unreachable);
    EXPECT_LT(took.count(), 4.0); // held up, it waits for five seconds
}

} // namespace
} // namespace tidemark::job
