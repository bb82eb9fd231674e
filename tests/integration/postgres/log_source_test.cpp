#include "engine/postgres/log_source.h"
#include "integration/postgres/log_reading.h"

#include "base/error_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

using base::Code;
using base::error_of;
using model::LogPosition;
using std::chrono::steady_clock;
using test::flushed;
using test::from_files;
using test::in;
using test::kSegment;
using test::Member;
using test::receive;
using testing::HasSubstr;

class LogSourceTest : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        member_ = std::make_unique<Member>("log");
        member_->admin().exec("SELECT pg_create_physical_replication_slot('keeper', true)");
    }
    static void TearDownTestSuite() { member_.reset(); }
    static Member& member() { return *member_; }

private:
    static std::unique_ptr<Member> member_;
};
std::unique_ptr<Member> LogSourceTest::member_;

TEST_F(LogSourceTest, StreamsTheBytesOfTheServersFilesFromAnyPosition)
{
    auto session = member().session("bytes");
    const auto begin = session->create_slot().offset;
    member().noise(3000);
    const auto end = flushed(member());
    ASSERT_GT(end, begin + 2 * kSegment);
    const unsigned seed = std::random_device{}();
    std::mt19937_64 random(seed);
    std::vector<model::Offset> starts{begin,
                                      begin / kSegment * kSegment,
                                      begin + 1,
                                      (begin / kSegment + 1) * kSegment,
                                      (begin / kSegment + 1) * kSegment - 1,
                                      begin / 8192 * 8192 + 8192,
                                      end - 1};
    for (int i = 0; i < 8; ++i)
        starts.push_back(begin + random() % (end - begin));
    for (const model::Offset from : starts) {
        auto source = session->open_log({1, from});
        EXPECT_EQ(source->epoch(), 1U);
        EXPECT_EQ(receive(*source, from, end), from_files(member().cluster().data_dir(), from, end))
            << "from " << model::format_offset(from) << ", seed " << seed;
        EXPECT_GE(source->server_end(), end);
        source->finish();
    }
    session->drop_slot();
}

// rule 15
TEST_F(LogSourceTest, TheSlotMovesExactlyToWhatWasConfirmed)
{
    auto session = member().session("confirm");
    const auto restart = session->create_slot();
    member().noise(500);
    const auto end = flushed(member());
    {
        auto source = session->open_log(restart);
        receive(*source, restart.offset, end);
        EXPECT_EQ(source->finish(), restart.offset) << "moved without a confirmation";
    }
    EXPECT_EQ(session->slot().restart, restart.offset);
    const auto middle = restart.offset + 12345;
    {
        auto source = session->open_log(restart);
        receive(*source, restart.offset, end);
        source->confirm(middle);
        EXPECT_EQ(session->slot().restart, restart.offset) << "nothing was sent yet";
        EXPECT_EQ(source->finish(), middle);
    }
    EXPECT_EQ(session->slot().restart, middle);
    {
        // A reader of older log must not drag the slot back, nor move it by only reading.
        auto source = session->open_log(restart);
        receive(*source, restart.offset, end);
        source->confirm(restart.offset + 100);
        EXPECT_EQ(source->finish(), middle);
    }
    {
        auto source = session->open_log({1, middle});
        receive(*source, middle, end);
        source->confirm(end);
        source->confirm(middle);
        EXPECT_EQ(source->finish(), end);
    }
    session->drop_slot();
}

// rule 15
TEST_F(LogSourceTest, AConfirmationReachesTheServerWhileStreaming)
{
    auto session = member().session("feedback");
    const auto restart = session->create_slot();
    member().noise(200);
    const auto end = flushed(member());
    auto source = PostgresLogSource::open(member().config("feedback"), restart,
                                          {.sender_timeout = std::chrono::milliseconds{600}});
    receive(*source, restart.offset, end);
    source->confirm(end);
    const auto deadline = in(std::chrono::seconds{20});
    while (session->slot().restart != end && steady_clock::now() < deadline)
        source->next(in(std::chrono::milliseconds{50}), {});
    EXPECT_EQ(session->slot().restart, end);
    // An idle stream outlives the server's patience several times.
    EXPECT_EQ(source->next(in(std::chrono::milliseconds{2500}), {}), std::nullopt);
    member().noise(1);
    EXPECT_TRUE(source->next(in(std::chrono::seconds{10}), {}).has_value());
    source->finish();
    session->drop_slot();
}

// rule 15
TEST_F(LogSourceTest, WeSpeakBeforeTheServerAsks)
{
    auto session = member().session("pace");
    const auto restart = session->create_slot();
    member().noise(200);
    const auto end = flushed(member());
    // The server asks after 3 s of silence; we are to speak every 2 s.
    auto source = PostgresLogSource::open(member().config("pace"), restart,
                                          {.sender_timeout = std::chrono::seconds{6}});
    receive(*source, restart.offset, end);
    source->confirm(end);
    const auto deadline = in(std::chrono::seconds{20});
    while (session->slot().restart != end && steady_clock::now() < deadline)
        source->next(in(std::chrono::milliseconds{50}), {});
    auto admin = member().admin();
    const auto heard = [&] {
        return admin.exec("SELECT r.reply_time::text, r.flush_lsn, r.write_lsn = r.flush_lsn "
                          "AND r.replay_lsn = r.flush_lsn FROM pg_stat_replication r "
                          "JOIN pg_replication_slots s ON s.active_pid = r.pid "
                          "WHERE s.slot_name = 'pace'");
    };
    const auto first = heard();
    ASSERT_EQ(first.rows(), 1);
    EXPECT_EQ(first.lsn(0, 1), end);
    EXPECT_EQ(first.boolean(0, 2), true) << "write, flush and apply differ";
    const auto until = in(std::chrono::milliseconds{2500});
    while (steady_clock::now() < until)
        source->next(until, {});
    // The server may need a moment to read it; nobody would answer a question of its own now.
    const auto moved = [&] { return heard().get(0, 0) != first.get(0, 0); };
    const auto patience = in(std::chrono::seconds{3});
    while (!moved() && steady_clock::now() < patience)
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    EXPECT_TRUE(moved()) << "silent for 2.5 s, last heard at " << first.get(0, 0);
    source->finish();
    session->drop_slot();
}

TEST_F(LogSourceTest, ANewConnectionGoesOnWithoutAGap)
{
    auto session = member().session("resume");
    const auto restart = session->create_slot();
    base::Bytes all;
    LogPosition at = restart;
    for (int round = 0; round < 4; ++round) {
        member().noise(300);
        auto admin = member().admin();
        auto source = session->open_log(at);
        // Parts of the log, cut off without a farewell on every second round.
        const auto part = receive(*source, at.offset, flushed(member()) - 1000);
        all.insert(all.end(), part.begin(), part.end());
        at.offset += part.size();
        source->confirm(at.offset);
        if (round % 2 == 0) {
            source->finish();
        } else {
            admin.exec("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                       "WHERE slot_name = 'resume'");
            const auto error = error_of([&] {
                while (source->next(in(std::chrono::seconds{10}), {})) {
                }
            });
            EXPECT_EQ(error.code(), Code::member_unreachable);
            EXPECT_TRUE(error.transient());
        }
    }
    EXPECT_EQ(all, from_files(member().cluster().data_dir(), restart.offset, at.offset));
    session->drop_slot();
}

TEST_F(LogSourceTest, OneReaderForEachSlot)
{
    auto session = member().session("single");
    const auto restart = session->create_slot();
    auto source = session->open_log(restart);
    const auto pid = member()
                         .admin()
                         .exec("SELECT active_pid FROM pg_replication_slots WHERE "
                               "slot_name = 'single'")
                         .integer(0, 0)
                         .value();
    const auto error = error_of([&] { session->open_log(restart); });
    EXPECT_EQ(error.code(), Code::member_not_ready);
    EXPECT_TRUE(error.transient());
    EXPECT_THAT(error.message(), HasSubstr(std::to_string(pid)));
    EXPECT_EQ(error_of([&] { session->drop_slot(); }).code(), Code::member_not_ready);
    source->finish();
    session->drop_slot();
}

TEST_F(LogSourceTest, ADroppedSlotIsAGap)
{
    auto session = member().session("dropped");
    const auto restart = session->create_slot();
    session->drop_slot();
    const auto error = error_of([&] { session->open_log(restart); });
    EXPECT_EQ(error.code(), Code::log_gap);
    EXPECT_THAT(error.hint(), HasSubstr("tidemark backup"));
}

TEST_F(LogSourceTest, PositionsBeyondTheServersLogAreAnotherHistory)
{
    auto session = member().session("beyond");
    session->create_slot();
    const auto end = flushed(member());
    EXPECT_EQ(error_of([&] { session->open_log({1, end + kSegment * 100}); }).code(),
              Code::identity_mismatch);
    EXPECT_EQ(error_of([&] { session->open_log({7, end}); }).code(), Code::identity_mismatch);
    session->drop_slot();
}

TEST_F(LogSourceTest, AStopRequestEndsTheWait)
{
    auto session = member().session("stop");
    const auto restart = session->create_slot();
    auto source = session->open_log(restart);
    receive(*source, restart.offset, flushed(member()));
    std::stop_source stop;
    const auto begun = steady_clock::now();
    std::jthread other([&] { stop.request_stop(); });
    while (source->next(in(std::chrono::seconds{60}), stop.get_token())) {
    }
    EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds{20});
    EXPECT_EQ(source->finish(), restart.offset);
    session->drop_slot();
}

} // namespace
} // namespace tidemark::engine::postgres
