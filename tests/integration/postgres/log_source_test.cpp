#include "engine/postgres/log_source.h"
#include "engine/postgres/replication.h"
#include "integration/postgres/member.h"

#include "base/error_testing.h"
#include "base/fd.h"

#include <filesystem>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::error_of;
using model::LogPosition;
using std::chrono::steady_clock;
using test::Member;
using testing::HasSubstr;

constexpr model::Offset kSegment = 1U << 20;

steady_clock::time_point in(std::chrono::milliseconds time)
{
    return steady_clock::now() + time;
}

/// Reads [from, to) of the log; fails the test when it does not come in time or has a hole.
base::Bytes receive(LogSource& source, model::Offset from, model::Offset to)
{
    base::Bytes out;
    const auto deadline = in(std::chrono::seconds{30});
    while (from + out.size() < to) {
        const auto chunk = source.next(deadline, {});
        if (!chunk) {
            ADD_FAILURE() << "only up to " << model::format_offset(from + out.size());
            return out;
        }
        EXPECT_EQ(chunk->at, from + out.size());
        out.insert(out.end(), chunk->bytes.begin(), chunk->bytes.end());
    }
    out.resize(to - from);
    return out;
}

/// The same bytes from the files in pg_wal.
base::Bytes from_files(const fs::path& data_dir, model::Offset from, model::Offset to,
                       model::Epoch epoch = 1)
{
    base::Bytes out;
    while (from < to) {
        const auto number = from / kSegment;
        const auto name = fmt::format("{:08X}{:08X}{:08X}", epoch, number / 4096, number % 4096);
        const auto segment = base::read_file(data_dir / "pg_wal" / name, kSegment);
        const auto begin = from % kSegment;
        const auto size = std::min(kSegment - begin, to - from);
        out.insert(out.end(), segment.begin() + static_cast<std::ptrdiff_t>(begin),
                   segment.begin() + static_cast<std::ptrdiff_t>(begin + size));
        from += size;
    }
    return out;
}

model::Offset flushed(const Member& member)
{
    auto admin = member.admin();
    return admin.exec("SELECT pg_current_wal_flush_lsn()").lsn(0, 0).value();
}

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

TEST(LogSourceGapTest, AnInvalidatedSlotIsAGap)
{
    Member member("lost", {{"max_slot_wal_keep_size", "1MB"},
                           {"min_wal_size", "2MB"},
                           {"max_wal_size", "2MB"},
                           {"wal_keep_size", "0"}});
    auto session = member.session();
    const auto restart = session->create_slot();
    // Nobody reads from this one, so its wal sender gets stuck in a full socket, where the server
    // cannot end it, and its checkpoint would hang for ever if we did not hang up by ourselves.
    auto stuck = PostgresLogSource::open(member.config(), restart,
                                         {.sender_timeout = std::chrono::seconds{2}});
    for (int round = 0; round < 20 && !session->slot().lost; ++round) {
        member.noise(2000);
        member.admin().exec("CHECKPOINT");
    }
    const auto state = session->slot();
    EXPECT_TRUE(state.lost);
    EXPECT_EQ(state.restart, std::nullopt);
    const auto error = error_of([&] { session->open_log(restart); });
    EXPECT_EQ(error.code(), Code::log_gap);
    EXPECT_THAT(error.hint(), HasSubstr("max_slot_wal_keep_size"));

    // Without a slot the server only finds out while it streams.
    auto config = member.config("");
    const auto gone = error_of([&] {
        auto bare = PostgresLogSource::open(config, restart);
        bare->next(in(std::chrono::seconds{20}), {});
    });
    EXPECT_EQ(gone.code(), Code::log_gap);
    EXPECT_THAT(gone.message(), HasSubstr("already been removed"));
    session->drop_slot();
    EXPECT_GT(session->create_slot().offset, restart.offset);
}

TEST(LogSourceDownTest, AServerThatDiesInMidStreamIsUnreachableForNow)
{
    Member member("down");
    auto session = member.session();
    const auto restart = session->create_slot();
    member.noise(3000);
    auto source = session->open_log(restart);
    ASSERT_TRUE(source->next(in(std::chrono::seconds{10}), {}));
    member.cluster().kill9();
    const auto error = error_of([&] {
        while (source->next(in(std::chrono::seconds{10}), {})) {
        }
    });
    EXPECT_EQ(error.code(), Code::member_unreachable);
    EXPECT_TRUE(error.transient());
    EXPECT_EQ(error_of([&] { session->open_log(restart); }).code(), Code::member_unreachable);
    member.cluster().start();
    auto again = session->open_log(restart);
    EXPECT_TRUE(again->next(in(std::chrono::seconds{10}), {}));
    again->finish();
}

TEST(LogSourceStopTest, AServerCanStopWhileWeStream)
{
    Member member("stop");
    auto session = member.session();
    const auto restart = session->create_slot();
    member.noise(100);
    {
        // The server waits for the confirmation of its last byte; whoever can give it is told.
        auto source = session->open_log(restart);
        model::Offset got = restart.offset;
        bool told = false;
        std::jthread stopper;
        const auto error = error_of([&] {
            const auto deadline = in(std::chrono::seconds{60});
            while (steady_clock::now() < deadline) {
                if (const auto chunk = source->next(deadline, {})) got += chunk->bytes.size();
                if (!stopper.joinable()) stopper = std::jthread([&] { member.cluster().stop(); });
                if (source->server_waits()) {
                    told = true;
                    source->confirm(got);
                }
            }
        });
        EXPECT_TRUE(told);
        EXPECT_EQ(error.code(), Code::member_unreachable);
        EXPECT_TRUE(error.transient());
        stopper.join();
        member.cluster().start();
        session = member.session();
        // The server saves its slots before its last checkpoint record, so the slot comes back a
        // little behind; never ahead.
        EXPECT_LE(session->slot().restart, got);
        session->open_log({1, got})->finish();
    }
    {
        // Whoever cannot confirm lets the server go all the same.
        const auto from = session->slot().restart.value();
        auto source = PostgresLogSource::open(member.config(), {1, from},
                                              {.stopping_grace = std::chrono::milliseconds{300}});
        ASSERT_TRUE(source->next(in(std::chrono::seconds{10}), {}));
        std::jthread stopper([&] { member.cluster().stop(); });
        const auto error = error_of([&] {
            const auto deadline = in(std::chrono::seconds{60});
            while (steady_clock::now() < deadline)
                source->next(deadline, {});
        });
        EXPECT_EQ(error.code(), Code::member_unreachable);
        EXPECT_THAT(error.message(), HasSubstr("stopping"));
        stopper.join();
        member.cluster().start();
        EXPECT_EQ(member.session()->slot().restart, from);
    }
}

// rule 14
TEST(LogSourceTimelineTest, ATimelineEndsWhereItsChildBegins)
{
    Member member("fork");
    auto& cluster = member.cluster();
    auto session = member.session();
    const auto restart = session->create_slot();
    member.noise(300);
    // A standby with nobody to follow: it replays what it has, and then is promoted.
    cluster.stop();
    base::replace_file(cluster.data_dir() / "standby.signal", {});
    app::give_to_lab_user(cluster.data_dir() / "standby.signal");
    cluster.start();
    session = member.session();
    const auto standby = session->identify();
    EXPECT_TRUE(standby.in_recovery);
    EXPECT_EQ(standby.position.epoch, 1U);
    EXPECT_EQ(error_of([&] { session->place_restore_point("no"); }).code(), Code::member_not_ready);
    ASSERT_TRUE(member.admin().exec("SELECT pg_promote()").boolean(0, 0).value_or(false));
    // The session lived through the promotion and must not believe the old timeline.
    EXPECT_EQ(session->insert_position().epoch, 2U);
    EXPECT_EQ(session->place_restore_point("yes").end.epoch, 2U);
    const auto text = session->history_file(2);
    ASSERT_TRUE(text.has_value());
    const auto fork = model::parse_history(2, *text).ancestors().at(0).left_at;
    EXPECT_EQ(session->history_file(3), std::nullopt);

    auto source = session->open_log(restart);
    const auto old = receive(*source, restart.offset, fork);
    EXPECT_EQ(old, from_files(cluster.data_dir(), restart.offset, fork));
    EXPECT_EQ(source->next(in(std::chrono::seconds{10}), {}), std::nullopt);
    ASSERT_TRUE(source->switched().has_value());
    EXPECT_EQ(source->switched()->next, 2U);
    EXPECT_EQ(source->switched()->at, fork);
    source->confirm(fork);
    source->finish();

    auto at_end = session->open_log({1, fork});
    EXPECT_EQ(at_end->next(in(std::chrono::seconds{10}), {}), std::nullopt);
    ASSERT_TRUE(at_end->switched().has_value());
    EXPECT_EQ(at_end->switched()->at, fork);
    at_end->finish();

    EXPECT_EQ(error_of([&] { session->open_log({1, fork + 8}); }).code(), Code::identity_mismatch);

    member.noise(100);
    const auto end = flushed(member);
    auto next = session->open_log({2, fork});
    EXPECT_EQ(receive(*next, fork, end), from_files(cluster.data_dir(), fork, end, 2));
    next->confirm(end);
    EXPECT_EQ(next->finish(), end);
}

} // namespace
} // namespace tidemark::engine::postgres
