// How a stream of log ends: the slot is lost, the server dies or stops, the timeline is over. Each
// on a cluster of its own.

#include "base/error_testing.h"
#include "base/fd.h"
#include "engine/postgres/log_source.h"
#include "integration/postgres/log_reading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace tidemark::engine::postgres {
namespace {

using base::Code;
using base::error_of;
using std::chrono::steady_clock;
using test::flushed;
using test::from_files;
using test::in;
using test::Member;
using test::receive;
using testing::HasSubstr;

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
