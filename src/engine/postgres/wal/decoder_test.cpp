#include "engine/postgres/wal/decoder.h"

#include "engine/postgres/wal/records_testing.h"
#include "engine/postgres/wal/test_log.h"
#include "engine/postgres/wal/xact.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace tidemark::engine::postgres::wal {
namespace {

using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using model::EventKind;
using model::LogIndex;
using model::LogNoticeKind;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DecoderStart start_of(const TestLog& log, int major = 15)
{
    DecoderStart start;
    start.version_num = major * 10000 + 3;
    start.system_id = std::to_string(*log.identity().system_id);
    start.log_segment_size = kMinSegmentSize;
    start.epoch = 1;
    start.range_from = log.from();
    start.feed_from = log.from();
    return start;
}

LogIndex index_of(TestLog& log, int major = 15)
{
    IndexBuilder builder(start_of(log, major));
    builder.feed(log.from(), log.bytes());
    return builder.take();
}

TEST(IndexBuilder, KeepsTransactionsOfEveryVersion)
{
    for (const Layout& layout : kLayouts) {
        TestLog log({.major = layout.major});
        auto a = log.add(prepare(layout.major, 741, "order-1", 100));
        auto b = log.add(finish(layout.major, true, 741, "order-1"));
        auto c = log.add(finish(layout.major, false, 742, ""));
        LogIndex index = index_of(log, layout.major);
        ASSERT_EQ(index.transactions.size(), 3U) << layout.major;
        model::TransactionEvent prepared;
        prepared.kind = EventKind::prepare;
        prepared.epoch = 1;
        prepared.start = a;
        prepared.end = b;
        prepared.xid = 741;
        prepared.gid = "order-1";
        prepared.at = at(0);
        prepared.database = 16384;
        prepared.owner = 10;
        EXPECT_EQ(index.transactions[0], prepared);
        EXPECT_EQ(index.transactions[1].kind, EventKind::commit);
        EXPECT_EQ(index.transactions[1].start, b);
        EXPECT_EQ(index.transactions[1].xid, 741U);
        EXPECT_EQ(index.transactions[1].gid, "order-1");
        EXPECT_EQ(index.transactions[1].at, at(5));
        EXPECT_EQ(index.transactions[2].kind, EventKind::rollback);
        EXPECT_EQ(index.transactions[2].start, c);
        EXPECT_EQ(index.transactions[2].xid, 742U);
        EXPECT_EQ(index.transactions[2].gid, "");
        EXPECT_EQ(index.commits, 1U);
        EXPECT_EQ(index.rollbacks, 1U);
    }
}

TEST(IndexBuilder, KeepsRestorePoints)
{
    TestLog log;
    auto start = log.add(restore_point("before_upgrade"));
    LogIndex index = index_of(log);
    ASSERT_THAT(index.restore_points, SizeIs(1));
    EXPECT_EQ(index.restore_points[0], (model::RestorePointEvent{.epoch = 1,
                                                                 .start = start,
                                                                 .end = log.position(),
                                                                 .at = at(7),
                                                                 .name = "before_upgrade"}));
}

TEST(IndexBuilder, CountsAndKeepsFewTimes)
{
    TestLog log;
    auto first = log.add(commit(1));
    log.add(commit(2));
    log.add({.blocks = {{.image = Bytes(1000)}, {.id = 1, .image = Bytes(10)}, {.id = 2}}});
    auto third = log.add(abort(3));
    for (int i = 0; i < 8; ++i)
        log.add({.main = Bytes(9000)});
    auto later = log.add(commit(4));
    log.add(commit(5));
    auto last = log.add(commit(6));
    ASSERT_LT(third, first + 65536);
    LogIndex index = index_of(log);
    EXPECT_EQ(index.commits, 5U);
    EXPECT_EQ(index.rollbacks, 1U);
    EXPECT_EQ(index.records, 15U);
    EXPECT_EQ(index.full_page_images, 2U);
    EXPECT_THAT(index.times, ::testing::ElementsAre(model::TimePoint{first, at(1)},
                                                    model::TimePoint{later, at(4)},
                                                    model::TimePoint{last, at(6)}));
    EXPECT_THAT(index.transactions, IsEmpty());
}

TEST(IndexBuilder, NoticesWhatLimitsTheLogsUse)
{
    TestLog log;
    auto changed = log.add(parameters(1));
    auto minimal = log.add(parameters(0));
    ByteWriter recovery;
    recovery.i64(kNoon);
    recovery.u32(3);
    recovery.u32(2);
    auto recovered = log.add({.manager = kXlog, .info = 0x90, .main = recovery.bytes()});
    ByteWriter checkpoint;
    checkpoint.u64(log.from());
    checkpoint.u32(4);
    checkpoint.u32(3);
    checkpoint.raw(Bytes(72));
    auto forked = log.add({.manager = kXlog, .info = 0x00, .main = checkpoint.bytes()});
    auto custom = log.add({.manager = 130, .main = Bytes(9)});
    log.add({.manager = 130, .main = Bytes(9)});
    auto unknown = log.add({.manager = 22, .main = Bytes(9)});
    LogIndex index = index_of(log);
    std::string limits = "max_connections=100 max_worker_processes=8 max_wal_senders=10 "
                         "max_prepared_transactions=64 max_locks_per_transaction=128 wal_level=";
    EXPECT_THAT(
        index.notices,
        ::testing::ElementsAre(
            model::LogNotice{LogNoticeKind::parameter_change, changed, limits + "replica"},
            model::LogNotice{LogNoticeKind::parameter_change, minimal, limits + "minimal"},
            model::LogNotice{LogNoticeKind::wal_level_minimal, minimal, limits + "minimal"},
            model::LogNotice{LogNoticeKind::end_of_recovery, recovered, "timeline 3 from 2"},
            model::LogNotice{LogNoticeKind::end_of_recovery, forked, "timeline 4 from 3"},
            model::LogNotice{LogNoticeKind::custom_resource_manager, custom, "130"},
            model::LogNotice{LogNoticeKind::unknown_resource_manager, unknown, "22"}));
}

TEST(IndexBuilder, KnowsCustomManagersSince15Only)
{
    TestLog log({.major = 14});
    log.add({.manager = 130, .main = Bytes(9)});
    LogIndex index = index_of(log, 14);
    ASSERT_THAT(index.notices, SizeIs(1));
    EXPECT_EQ(index.notices[0].kind, LogNoticeKind::unknown_resource_manager);
}

// rule 12
TEST(IndexBuilder, PutsARecordIntoTheRangeInWhichItEnds)
{
    TestLog log;
    auto a = log.add(commit(1));
    auto big = log.add({.main = Bytes(20000)});
    auto b = log.add(prepare(15, 5, "g"));
    auto end = log.position();

    IndexBuilder builder(start_of(log));
    auto feed_to = [&](model::Offset to) {
        model::Offset from = builder.take().range.to;
        builder.feed(from, log.view(from).first(to - from));
    };
    builder.feed(log.from(), log.view(log.from()).first(big + 100 - log.from()));
    LogIndex first = builder.take();
    EXPECT_EQ(first.range, (model::LogRange{1, log.from(), big + 100}));
    EXPECT_EQ(first.first_record, a);
    EXPECT_EQ(first.last_record_end, big);
    EXPECT_EQ(first.unfinished, big);
    EXPECT_EQ(first.records, 1U);

    builder.feed(big + 100, log.view(big + 100).first(9000));
    LogIndex middle = builder.take();
    EXPECT_EQ(middle.records, 0U);
    EXPECT_EQ(middle.first_record, std::nullopt);
    EXPECT_EQ(middle.last_record_end, 0U);
    EXPECT_EQ(middle.unfinished, big);

    feed_to(b);
    LogIndex third = builder.take();
    EXPECT_EQ(third.first_record, big);
    EXPECT_EQ(third.last_record_end, b);
    EXPECT_EQ(third.unfinished, std::nullopt);

    // Padding belongs to the record: one byte short of its end it is unfinished.
    feed_to(end - 1);
    LogIndex fourth = builder.take();
    EXPECT_EQ(fourth.unfinished, b);
    EXPECT_THAT(fourth.transactions, IsEmpty());
    builder.feed(end - 1, log.view(end - 1));
    LogIndex last = builder.take();
    EXPECT_THAT(last.transactions, SizeIs(1));
    EXPECT_EQ(last.range, (model::LogRange{1, end - 1, end}));
}

TEST(IndexBuilder, GoesOnInAnotherProcessWhereverTheLogWasCut)
{
    TestLog log;
    std::mt19937 random(11);
    for (std::uint32_t i = 0; i < 400; ++i) {
        log.add(commit(i));
        log.add(prepare(15, i, "g" + std::to_string(i)));
        log.add({.main = Bytes(random() % 3000)});
        log.add(finish(15, i % 2 == 0, i, i % 3 == 0 ? "x" : ""));
    }
    LogIndex whole = index_of(log);
    for (int round = 0; round < 200; ++round) {
        model::Offset cut = log.from() + random() % (log.bytes().size() + 1);
        IndexBuilder first(start_of(log));
        first.feed(log.from(), log.view(log.from()).first(cut - log.from()));
        LogIndex before = first.take();

        DecoderStart resume = start_of(log);
        resume.range_from = cut;
        resume.feed_from = before.unfinished.value_or(cut);
        resume.at_record = true;
        IndexBuilder second(resume);
        second.feed(resume.feed_from, log.view(resume.feed_from));
        LogIndex after = second.take();

        ASSERT_EQ(before.records + after.records, whole.records) << cut;
        ASSERT_EQ(before.commits + after.commits, whole.commits) << cut;
        auto events = before.transactions;
        events.insert(events.end(), after.transactions.begin(), after.transactions.end());
        ASSERT_EQ(events, whole.transactions) << cut;
        ASSERT_EQ(after.range, (model::LogRange{1, cut, log.position()}));
        for (const auto& event : before.transactions)
            ASSERT_LE(event.end, cut);
        for (const auto& event : after.transactions)
            ASSERT_GT(event.end, cut);
    }
}

// rule 12
TEST(IndexBuilder, StartsColdInTheMiddleOfARecord)
{
    TestLog log;
    log.add({.main = Bytes(kMinSegmentSize)});
    auto next = log.add(commit(1));
    DecoderStart start = start_of(log);
    start.range_from = start.feed_from = log.from() + kMinSegmentSize;
    IndexBuilder builder(start);
    builder.feed(start.feed_from, log.view(start.feed_from));
    LogIndex index = builder.take();
    EXPECT_EQ(index.records, 1U);
    EXPECT_EQ(index.first_record, next);
}

base::Code code_of_feeding(const DecoderStart& start, model::Offset at, ByteView bytes)
{
    try {
        IndexBuilder builder(start);
        builder.feed(at, bytes);
    } catch (const base::Error& error) {
        return error.code();
    }
    return base::Code::ok;
}

TEST(IndexBuilder, SaysWhatIsWrong)
{
    TestLog log;
    log.add(commit(1));
    log.append_zeros(100);
    DecoderStart good = start_of(log);
    EXPECT_EQ(code_of_feeding(good, log.from(), ByteView(log.bytes()).first(80)), base::Code::ok);
    EXPECT_EQ(code_of_feeding(good, log.from(), log.bytes()), base::Code::failed) << "zeros";
    EXPECT_EQ(code_of_feeding(good, log.from() + 8, log.bytes()), base::Code::log_gap);
    DecoderStart start = good;
    start.system_id = "77";
    EXPECT_EQ(code_of_feeding(start, log.from(), log.bytes()), base::Code::identity_mismatch);
    start.system_id = "x";
    EXPECT_EQ(code_of_feeding(start, log.from(), log.bytes()), base::Code::failed);
    start = good;
    start.version_num = 120004;
    EXPECT_EQ(code_of_feeding(start, log.from(), log.bytes()), base::Code::member_not_ready);
    start = good;
    start.log_segment_size = 77;
    EXPECT_EQ(code_of_feeding(start, log.from(), log.bytes()), base::Code::failed);
    start = good;
    start.feed_from += 3;
    EXPECT_EQ(code_of_feeding(start, start.feed_from, log.bytes()), base::Code::failed);
    start = good;
    start.feed_from += kPageSize;
    EXPECT_EQ(code_of_feeding(start, start.feed_from, {}), base::Code::failed) << "after its range";
}

TEST(IndexBuilder, RefusesRecordsThatAreNotWhatTheySay)
{
    auto cut_short = [](TestRecord record) {
        record.main.resize(record.main.size() - 1);
        return record;
    };
    TestRecord no_xid = finish(15, true, 5, "");
    no_xid.info = 0x30; // without the bit that says there are parts
    TestRecord nameless = restore_point("x");
    for (std::size_t i = 8; i < nameless.main.size(); ++i)
        nameless.main[i] = std::byte{'x'};
    TestRecord unending = prepare(15, 5, "g");
    unending.main.back() = std::byte{'x'};
    TestRecord other_length = prepare(15, 5, "g");
    other_length.main[54] = std::byte{9};
    TestRecord many = finish(15, true, 5, "");
    many.main[8 + 4 + 8 + 3] = std::byte{0xFF}; // count of subtransactions
    for (const TestRecord& record :
         {no_xid, nameless, unending, other_length, many, cut_short(commit(1)),
          cut_short(prepare(15, 5, "g")), cut_short(restore_point("x"))}) {
        TestLog log;
        auto bad = log.add(record);
        log.add(commit(1));
        IndexBuilder builder(start_of(log));
        try {
            builder.feed(log.from(), log.bytes());
            FAIL() << "accepted " << base::to_hex(record.main);
        } catch (const base::Error& error) {
            EXPECT_THAT(error.message(), ::testing::HasSubstr(model::format_offset(bad)));
        }
    }
}

TEST(TimeFromLog, StaysInRange)
{
    EXPECT_EQ(time_from_log(0), base::from_postgres_time(0));
    EXPECT_GT(time_from_log(std::numeric_limits<std::int64_t>::max()), at(0));
    EXPECT_LT(time_from_log(std::numeric_limits<std::int64_t>::min()), at(0));
}

} // namespace
} // namespace tidemark::engine::postgres::wal
