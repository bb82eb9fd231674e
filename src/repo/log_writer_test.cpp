#include "repo/log_writer.h"

#include "base/error_testing.h"
#include "repo/layout.h"
#include "repo/little_group.h"
#include "repo/log_reader.h"
#include "store/faulty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using base::error_of;
using model::History;
using model::LogPosition;
using testing::build_piece;
using ::testing::HasSubstr;
using testing::log_byte;
using testing::plain_index;

constexpr model::Offset kSegment = testing::kSegment;
const model::MemberId kOrders{.group = "shop", .member = "orders"};

class LogTest : public ::testing::Test {
protected:
    LogWriter writer(std::optional<LogPosition> end = {})
    {
        return {t.storage, kOrders, *lease, end, {.log_segment_size = testing::kSegment}};
    }
    LogCatalog catalog() { return LogCatalog::load(t.storage, kOrders); }
    LogReader reader() { return {t.storage, catalog()}; }
    static model::PieceRef put(LogWriter& to, model::Offset from, model::Offset end,
                               model::Epoch epoch = 1)
    {
        model::LogRange range{.epoch = epoch, .from = from, .to = end};
        return to.put(build_piece(range), plain_index(range));
    }

    testing::TestStore t;
    std::unique_ptr<Lease> lease = testing::take(t.storage);
};

TEST_F(LogTest, RecordsThatNothingGetsPastAreNotedBeforeTheLog)
{
    auto log = writer();
    log.start_chain({.epoch = 1, .offset = kSegment});
    model::LogRange range{.epoch = 1, .from = kSegment, .to = kSegment + 100};
    auto index = plain_index(range);
    index.notices.push_back(
        {.kind = model::LogNoticeKind::parameter_change, .start = kSegment + 8, .detail = ""});
    index.notices.push_back(
        {.kind = model::LogNoticeKind::wal_level_minimal, .start = kSegment + 40, .detail = ""});
    log.put(build_piece(range), index);
    LogPosition at{.epoch = 1, .offset = kSegment + 40};
    LogPosition from{.epoch = 1, .offset = kSegment};
    LogPosition end{.epoch = 1, .offset = kSegment + 100};
    EXPECT_EQ(catalog().barriers, std::vector{at});
    EXPECT_EQ(catalog().barrier(History{1}, from, end), at);
    EXPECT_EQ(catalog().barrier(History{1}, at, end), at);
    EXPECT_FALSE(catalog().barrier(History{1}, from, at)) << "recovery stops before it";
    EXPECT_FALSE(catalog().barrier(History{1}, {.epoch = 1, .offset = kSegment + 41}, end));
    // An index that is lost is made again, and notes again what it sees.
    t.storage.remove(barrier_key(kOrders, at));
    reader().reindex(catalog().pieces.front(), [&](const LogPiece&) { return index; });
    EXPECT_EQ(catalog().barriers, std::vector{at});
}

TEST_F(LogTest, PiecesFollowEachOther)
{
    auto log = writer();
    EXPECT_EQ(error_of([&] { put(log, kSegment, kSegment + 10); }).code(), Code::log_gap)
        << "a first piece needs start_chain";
    log.start_chain({.epoch = 1, .offset = kSegment});
    put(log, kSegment, kSegment + 5000);
    auto ref = put(log, kSegment + 5000, kSegment + 9000);
    EXPECT_EQ(log.end(), (LogPosition{.epoch = 1, .offset = kSegment + 9000}));
    for (auto [from, to] : {std::pair{9001U, 9500U}, {8999U, 9500U}, {0U, 10U}}) {
        Error error = error_of([&, f = from, e = to] { put(log, kSegment + f, kSegment + e); });
        EXPECT_EQ(error.code(), Code::log_gap);
    }
    EXPECT_EQ(error_of([&] { put(log, kSegment + 9000, kSegment + 9500, 2); }).code(),
              Code::log_gap);
    EXPECT_EQ(catalog().pieces.size(), 2U);
    EXPECT_EQ(catalog().durable_end(History{1}), log.end());
    auto object = t.storage.stat(ref.object.key);
    ASSERT_TRUE(object);
    EXPECT_EQ(object->size, ref.object.size);
    EXPECT_TRUE(catalog().pieces.back().indexed);
}

// rule 11
TEST_F(LogTest, ChainsBeginAtSegments)
{
    auto log = writer();
    EXPECT_THROW(log.start_chain({.epoch = 1, .offset = kSegment + 1}), Error);
    log.start_chain({.epoch = 1, .offset = 2 * kSegment});
    put(log, 2 * kSegment, 2 * kSegment + 100);
    EXPECT_EQ(error_of([&] { log.start_chain({.epoch = 1, .offset = kSegment}); }).code(),
              Code::identity_mismatch)
        << "a log that jumps back is another log";
    log.start_chain({.epoch = 1, .offset = 3 * kSegment});
    put(log, 3 * kSegment, 3 * kSegment + 100);
    auto loaded = catalog();
    auto gaps = loaded.gaps(History{1}, {1, 2 * kSegment}, {1, 3 * kSegment + 100});
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0],
              (model::LogRange{.epoch = 1, .from = 2 * kSegment + 100, .to = 3 * kSegment}));
    Error error = error_of(
        [&] { (void)loaded.covering(History{1}, {1, 2 * kSegment}, {1, 3 * kSegment + 100}); });
    EXPECT_EQ(error.code(), Code::log_gap);
    EXPECT_THAT(error.message(), HasSubstr("0/200064 to 0/300000"));
    EXPECT_EQ(loaded.newest_chain(History{1})->start.offset, 3 * kSegment);
}

TEST_F(LogTest, EpochsFollowTheirHistory)
{
    auto log = writer();
    log.start_chain({.epoch = 1, .offset = kSegment});
    put(log, kSegment, kSegment + 700);
    EXPECT_EQ(error_of([&] { log.switch_epoch(2, kSegment + 700); }).code(), Code::log_gap)
        << "history first";
    store_history(t.storage, kOrders, 2, "1\t0/1002BC\tno recovery target\n");
    EXPECT_EQ(error_of([&] { log.switch_epoch(2, kSegment + 701); }).code(), Code::log_gap);
    log.switch_epoch(2, kSegment + 700);
    put(log, kSegment + 700, kSegment + 900, 2);
    History history = load_history(t.storage, kOrders, 2);
    EXPECT_EQ(catalog().durable_end(history), (LogPosition{.epoch = 2, .offset = kSegment + 900}));
    EXPECT_EQ(catalog().durable_end(History{1}),
              (LogPosition{.epoch = 1, .offset = kSegment + 700}));
    auto bytes = reader().read(history, {1, kSegment + 600}, {2, kSegment + 800});
    ASSERT_EQ(bytes.size(), 200U);
    EXPECT_EQ(bytes[150], log_byte(kSegment + 750));
}

// rule 13
TEST_F(LogTest, AnotherHistoryUnderOneNumberIsRefused)
{
    store_history(t.storage, kOrders, 2, "1\t0/1002BC\tx\n");
    EXPECT_NO_THROW(store_history(t.storage, kOrders, 2, "1\t0/1002BC\tx\n"));
    EXPECT_EQ(error_of([&] { store_history(t.storage, kOrders, 2, "1\t0/1002C0\tx\n"); }).code(),
              Code::identity_mismatch);
    EXPECT_THROW(store_history(t.storage, kOrders, 3, "garbage\n"), Error);
    EXPECT_EQ(error_of([&] { (void)load_history(t.storage, kOrders, 4); }).code(), Code::log_gap);
    EXPECT_EQ(load_history(t.storage, kOrders, 1), History{1});
}

// rule 24
TEST_F(LogTest, ClaimedTimelinesDoNotCollide)
{
    store_history(t.storage, kOrders, 2, "1\t0/1002BC\tx\n");
    EXPECT_EQ(claim_epoch(t.storage, kOrders, 2, "restore a"), 3U);
    EXPECT_EQ(claim_epoch(t.storage, kOrders, 2, "restore b"), 4U);
    EXPECT_EQ(claim_epoch(t.storage, kOrders, 3, "restore c"), 5U);
    EXPECT_EQ(catalog().claims, (std::vector<model::Epoch>{3, 4, 5}));
}

// rule 32
TEST_F(LogTest, StaleWriterDoesNoHarm)
{
    auto log = writer();
    log.start_chain({.epoch = 1, .offset = kSegment});
    put(log, kSegment, kSegment + 1000);
    t.clock.advance(std::chrono::minutes{5});
    auto fresh_lease = testing::take(t.storage);
    LogWriter fresh{
        t.storage, kOrders, *fresh_lease, log.end(), {.log_segment_size = testing::kSegment}};
    put(fresh, kSegment + 1000, kSegment + 1500);
    EXPECT_EQ(error_of([&] { put(log, kSegment + 1000, kSegment + 3000); }).code(),
              Code::lease_held);
    EXPECT_EQ(log.end()->offset, kSegment + 1000) << "nothing may be told to the server";
    // Had it written after all: another name, equal bytes; both coverings read the same.
    model::LogRange late{.epoch = 1, .from = kSegment + 1000, .to = kSegment + 3000};
    store::put(t.storage, piece_key(kOrders, {.range = late, .lease = lease->number()}),
               build_piece(late).bytes);
    auto bytes = reader().read(History{1}, {1, kSegment}, {1, kSegment + 3000});
    for (std::size_t i = 0; i < bytes.size(); ++i)
        ASSERT_EQ(bytes[i], log_byte(kSegment + i));
}

TEST_F(LogTest, ReadsAnyRangeAcrossPieces)
{
    auto log = writer();
    log.start_chain({.epoch = 1, .offset = kSegment});
    model::Offset end = kSegment;
    for (std::uint64_t size : {1U, 7U, 8192U, 3U, 2'500'000U, 100U})
        end = put(log, end, end + size).range.to;
    auto from_to = [&](model::Offset from, model::Offset to) {
        auto bytes = reader().read(History{1}, {1, from}, {1, to});
        ASSERT_EQ(bytes.size(), to - from);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            ASSERT_EQ(bytes[i], log_byte(from + i));
    };
    from_to(kSegment, end);
    from_to(kSegment + 1, kSegment + 2);
    from_to(kSegment + 5, end - 50);
    from_to(end, end);
    EXPECT_EQ(error_of([&] { from_to(kSegment, end + 1); }).code(), Code::log_gap);
    EXPECT_EQ(error_of([&] { from_to(kSegment - 1, end); }).code(), Code::log_gap);
}

TEST_F(LogTest, DamagedPieceIsPassedOverWhereAnotherHoldsItsBytes)
{
    auto memory = std::make_shared<store::MemoryStorage>();
    store::FaultyStorage storage{memory};
    auto own = testing::take(storage);
    LogWriter log{storage, kOrders, *own, {}, {.log_segment_size = testing::kSegment}};
    log.start_chain({.epoch = 1, .offset = kSegment});
    auto big = put(log, kSegment, kSegment + 6000);
    storage.corrupt(big.object.key, 100);
    LogPosition from{.epoch = 1, .offset = kSegment + 10};
    LogPosition to{.epoch = 1, .offset = kSegment + 5000};
    Error error = error_of([&] {
        (void)LogReader{storage, LogCatalog::load(storage, kOrders)}.read(History{1}, from, to);
    });
    EXPECT_EQ(error.code(), Code::not_restorable);
    EXPECT_THAT(error.what(), HasSubstr(big.object.key));
    for (model::Offset at = kSegment; at < kSegment + 6000; at += 3000) {
        model::LogRange range{.epoch = 1, .from = at, .to = at + 3000};
        store::put(storage, piece_key(kOrders, {.range = range, .lease = 99}),
                   build_piece(range).bytes);
    }
    auto bytes = LogReader{storage, LogCatalog::load(storage, kOrders)}.read(History{1}, from, to);
    ASSERT_EQ(bytes.size(), 4990U);
    EXPECT_EQ(bytes.back(), log_byte(kSegment + 4999));
}

TEST_F(LogTest, IndexesAreMadeAgainWhenLostOrDamaged)
{
    auto log = writer();
    log.start_chain({.epoch = 1, .offset = kSegment});
    put(log, kSegment, kSegment + 6000);
    LogPiece piece = catalog().pieces.at(0);
    std::string key = index_key(kOrders, {.range = piece.range, .lease = piece.lease});
    int rebuilt = 0;
    RebuildIndex rebuild = [&](const LogPiece& of) {
        ++rebuilt;
        return plain_index(of.range);
    };
    EXPECT_EQ(reader().index(piece, rebuild), plain_index(piece.range));
    EXPECT_EQ(rebuilt, 0);
    t.storage.remove(key);
    EXPECT_THROW((void)reader().index(piece, {}), Error);
    EXPECT_EQ(reader().index(piece, rebuild), plain_index(piece.range));
    EXPECT_EQ(rebuilt, 1);
    EXPECT_TRUE(t.storage.stat(key)) << "stored again";
    EXPECT_EQ(reader().index(piece, rebuild), plain_index(piece.range));
    EXPECT_EQ(rebuilt, 1);
    t.storage.remove(key);
    store::put(t.storage, key, base::as_bytes("garbage"));
    EXPECT_EQ(reader().index(piece, rebuild), plain_index(piece.range));
    EXPECT_EQ(rebuilt, 2);
    reader().reindex(piece, rebuild);
    EXPECT_EQ(reader().index(piece, {}), plain_index(piece.range));
}

// rule 15
TEST_F(LogTest, WhatWasToldToTheServerSurvivesEveryCrash)
{
    for (auto step : {store::MemoryStorage::Step::lost, store::MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; ++k) {
            testing::TestStore s;
            model::Offset told = kSegment;
            s.storage.crash_at(k, step);
            try {
                auto own = testing::take(s.storage);
                LogWriter log{
                    s.storage, kOrders, *own, {}, {.log_segment_size = testing::kSegment}};
                log.start_chain({.epoch = 1, .offset = kSegment});
                for (int i = 0; i < 4; ++i) {
                    put(log, told, told + 900);
                    told = log.end()->offset;
                }
            } catch (const store::CrashError&) {
            }
            bool crashed = s.storage.crashed();
            s.storage.reopen();
            s.clock.advance(std::chrono::minutes{2});
            auto loaded = LogCatalog::load(s.storage, kOrders);
            auto end = loaded.durable_end(History{1});
            ASSERT_GE(end ? end->offset : kSegment, told) << "crash at " << k;
            // The next run goes on where the durable log ends and finds every byte.
            auto own = testing::take(s.storage);
            LogWriter log{s.storage, kOrders, *own, end, {.log_segment_size = testing::kSegment}};
            if (!end) log.start_chain({.epoch = 1, .offset = kSegment});
            put(log, log.end()->offset, log.end()->offset + 500);
            LogReader all{s.storage, LogCatalog::load(s.storage, kOrders)};
            auto bytes = all.read(History{1}, {1, kSegment}, *log.end());
            for (std::size_t i = 0; i < bytes.size(); ++i)
                ASSERT_EQ(bytes[i], log_byte(kSegment + i));
            if (!crashed) break;
            ASSERT_LT(k, 100U);
        }
    }
}

} // namespace
} // namespace tidemark::repo
