#include "engine/postgres/wal/reader_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace tidemark::engine::postgres::wal {
namespace {

using base::Bytes;
using base::ByteView;
using ::testing::ElementsAre;

/// Records of many sizes over three segments: some span pages, one a segment, one switches.
TestLog mixed_log(std::uint32_t seed)
{
    std::mt19937 random(seed);
    TestLog log;
    for (std::uint32_t i = 0; log.bytes().size() < kMinSegmentSize * 3 / 2; ++i) {
        auto size = i % 50 == 49 ? 100000 + random() % 1000 : random() % (i % 7 == 0 ? 9000 : 200);
        TestRecord record{.xid = i, .main = Bytes(size, static_cast<std::byte>(random()))};
        if (i % 3 == 0) record.blocks.push_back({.block = i, .image = Bytes(random() % 8000)});
        if (i % 5 == 0) record.blocks.push_back({.id = 7, .block = i + 1, .data = Bytes(9)});
        log.add(record);
    }
    log.add_switch();
    log.add({.xid = 77, .main = Bytes(20000, std::byte{1})});
    return log;
}

TEST(WalReader, HandsOverRecordsInPlace)
{
    TestLog log;
    auto a = log.add({.xid = 1, .main = Bytes(3, std::byte{'a'})});
    auto b = log.add({.xid = 2, .main = Bytes(300, std::byte{'b'})});
    Reading reading = read(log);
    EXPECT_EQ(reading.status, (Status{State::ok, Fault::none, log.position()}));
    EXPECT_THAT(reading.seen, ElementsAre(Seen{a, b, 24 + 2 + 3, 1, 0, Bytes(3, std::byte{'a'})},
                                          Seen{b, log.position(), 24 + 5 + 300, 2, 0,
                                               Bytes(300, std::byte{'b'})}));
    EXPECT_EQ(a, log.from() + kLongPageHeader);
}

TEST(WalReader, AssemblesARecordOverPagesAndSegments)
{
    TestLog log;
    auto a = log.add({.main = Bytes(1 << 20, std::byte{'a'})});
    auto b = log.add({.main = Bytes(3, std::byte{'b'})});
    Reading reading = read(log);
    EXPECT_EQ(reading.status.state, State::ok);
    EXPECT_THAT(starts(reading), ElementsAre(a, b));
    EXPECT_EQ(reading.seen[0].main, Bytes(1 << 20, std::byte{'a'}));
    EXPECT_EQ(reading.seen[0].end, b);
}

TEST(WalReader, ReadsARecordWhoseHeaderSpansPages)
{
    for (std::size_t room : {8U, 16U, 24U}) {
        TestLog log;
        log.pad_page_to(room);
        ASSERT_EQ(log.page_room(), room);
        auto record = log.add({.xid = 9, .main = Bytes(40, std::byte{'x'})});
        Reading reading = read(log);
        EXPECT_EQ(reading.status.state, State::ok) << room;
        ASSERT_EQ(reading.seen.size(), 2U);
        EXPECT_EQ(reading.seen[1].start, record);
        EXPECT_EQ(reading.seen[1].xid, 9U);
    }
}

TEST(WalReader, EndsARecordAtThePageBoundaryBeforeTheNextHeader)
{
    TestLog log;
    log.pad_page_to(32);
    log.add({.main = Bytes(6)}); // 24 + 2 + 6
    auto boundary = log.position();
    ASSERT_EQ(boundary % kPageSize, 0U);
    auto next = log.add({.main = Bytes(6)});
    EXPECT_EQ(next, boundary + kShortPageHeader);
    Reading reading = read(log);
    EXPECT_EQ(reading.seen[1].end, boundary) << "as the server reports it";
}

TEST(WalReader, GivesTheSameWhateverTheChunks)
{
    TestLog log = mixed_log(3);
    Reading whole = read(log);
    ASSERT_EQ(whole.status.state, State::ok);
    ASSERT_GT(whole.seen.size(), 100U);
    for (std::size_t chunk :
         {1U, 2U, 3U, 7U, 8U, 23U, 24U, 25U, 4096U, 8191U, 8192U, 8193U, 100000U}) {
        Reading pieces = read(log, chunk);
        EXPECT_EQ(pieces.status, whole.status) << chunk;
        EXPECT_EQ(pieces.seen, whole.seen) << chunk;
    }
}

TEST(WalReader, CanBeResumedWhereverItWasCut)
{
    TestLog log = mixed_log(4);
    Reading whole = read(log);
    std::mt19937 random(5);
    for (int round = 0; round < 300; ++round) {
        std::size_t cut = random() % (log.bytes().size() + 1);
        Collector collector;
        WalReader first(log.identity(), {.at = log.from()}, collector);
        first.feed(log.from(), ByteView(log.bytes()).first(cut));
        model::Offset resume = first.unfinished().value_or(first.position());
        ASSERT_LE(resume, first.position());
        for (const Seen& one : collector.seen)
            ASSERT_LE(one.end, first.position());

        WalReader second(log.identity(), {.at = resume}, collector);
        second.feed(resume, log.view(resume));
        ASSERT_EQ(second.status(), whole.status) << cut;
        ASSERT_EQ(collector.seen, whole.seen) << cut;
    }
}

TEST(WalReader, SkipsTheRestOfARecordItDidNotSeeBegin)
{
    TestLog log;
    log.add({.main = Bytes(30000, std::byte{'a'})});
    auto next = log.add({.main = Bytes(5, std::byte{'b'})});
    for (model::Offset page = log.from() + kPageSize; page < next; page += kPageSize)
        for (std::size_t chunk : {1U, 100U, 1000000U}) {
            Reading reading = read(log.identity(), {.at = page}, log.view(page), chunk);
            EXPECT_EQ(reading.status.state, State::ok);
            EXPECT_THAT(starts(reading), ElementsAre(next)) << page;
        }
}

TEST(WalReader, SaysWhereToResumeInsideASkippedRecord)
{
    TestLog log;
    log.add({.main = Bytes(30000, std::byte{'a'})});
    model::Offset page = log.from() + kPageSize;
    Reading reading = read(log.identity(), {.at = page}, log.view(page).first(kPageSize + 100));
    EXPECT_EQ(reading.status.state, State::need_more);
    EXPECT_EQ(reading.unfinished, page + kPageSize) << "a page boundary is a place to start";
}

TEST(WalReader, EndsASwitchWithItsSegment)
{
    TestLog log;
    auto a = log.add({.main = Bytes(5)});
    auto change = log.add_switch();
    model::Offset next_segment = log.from() + kMinSegmentSize;
    ASSERT_EQ(log.position(), next_segment);
    auto b = log.add({.main = Bytes(5)});
    // The rest of the segment may hold anything.
    for (model::Offset at = change + 24; at < next_segment; ++at)
        log.bytes()[at - log.from()] = std::byte{0xEE};
    Reading reading = read(log, 1000);
    EXPECT_EQ(reading.status.state, State::ok);
    EXPECT_THAT(starts(reading), ElementsAre(a, change, b));
    EXPECT_EQ(reading.seen[1].end, next_segment);

    Reading cut =
        read(log.identity(), {.at = log.from()}, ByteView(log.bytes()).first(kMinSegmentSize - 1));
    EXPECT_THAT(starts(cut), ElementsAre(a)) << "the switch has not ended yet";
    EXPECT_EQ(cut.unfinished, change);
}

TEST(WalReader, LeavesOutARecordGivenUpAfterACrash)
{
    for (std::size_t chunk : {1U, 8192U, 1000000U}) {
        TestLog log;
        auto a = log.add({.main = Bytes(5)});
        log.pad_page_to(400);
        auto torn = log.add_torn({.main = Bytes(1000)}, 400);
        base::ByteWriter what;
        what.u64(torn);
        what.i64(0);
        auto overwrite = log.add({.manager = kXlog, .info = 0xD0, .main = what.bytes()});
        EXPECT_EQ(overwrite % kPageSize, kShortPageHeader);
        auto b = log.add({.main = Bytes(5)});
        Reading reading = read(log, chunk);
        EXPECT_EQ(reading.status.state, State::ok) << format_status(reading.status);
        EXPECT_THAT(starts(reading), ::testing::Contains(overwrite));
        EXPECT_THAT(starts(reading), ::testing::Not(::testing::Contains(torn)));
        EXPECT_EQ(reading.seen.front().start, a);
        EXPECT_EQ(reading.seen.back().start, b);
    }
}

TEST(WalReader, RefusesAnOverwriteOfAnotherRecord)
{
    TestLog log;
    log.pad_page_to(400);
    auto torn = log.add_torn({.main = Bytes(1000)}, 400);
    base::ByteWriter what;
    what.u64(torn + 8);
    what.i64(0);
    auto overwrite = log.add({.manager = kXlog, .info = 0xD0, .main = what.bytes()});
    EXPECT_EQ(read(log).status, (Status{State::broken, Fault::overwrite, overwrite}));
}

} // namespace
} // namespace tidemark::engine::postgres::wal
