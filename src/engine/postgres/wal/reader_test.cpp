#include "engine/postgres/wal/reader.h"

#include "engine/postgres/wal/test_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace tidemark::engine::postgres::wal {
namespace {

using base::Bytes;
using base::ByteView;
using ::testing::ElementsAre;

/// What is worth comparing of a record.
struct Seen {
    model::Offset start = 0;
    model::Offset end = 0;
    std::uint32_t length = 0;
    std::uint32_t xid = 0;
    std::size_t blocks = 0;
    Bytes main;
    friend bool operator==(const Seen&, const Seen&) = default;
};

class Collector final : public RecordVisitor {
public:
    void record(const Record& record) override
    {
        seen.push_back({record.start, record.end, record.length, record.xid, record.block_count,
                        Bytes(record.main_data.begin(), record.main_data.end())});
    }
    std::vector<model::Offset> starts() const
    {
        std::vector<model::Offset> starts;
        for (const Seen& one : seen)
            starts.push_back(one.start);
        return starts;
    }
    std::vector<Seen> seen;
};

struct Reading {
    Status status;
    std::vector<Seen> seen;
    std::optional<model::Offset> unfinished;
};

/// Reads `bytes` in pieces of at most `chunk` bytes.
Reading read(const LogIdentity& identity, const ReaderStart& start, ByteView bytes,
             std::size_t chunk = SIZE_MAX)
{
    Collector collector;
    WalReader reader(identity, start, collector);
    while (!bytes.empty()) {
        auto piece = bytes.first(std::min(chunk, bytes.size()));
        reader.feed(reader.position(), piece);
        bytes = bytes.subspan(piece.size());
    }
    return {reader.status(), collector.seen, reader.unfinished()};
}

Reading read(TestLog& log, std::size_t chunk = SIZE_MAX)
{
    return read(log.identity(), {.at = log.from()}, log.bytes(), chunk);
}

std::vector<model::Offset> starts(const Reading& reading)
{
    std::vector<model::Offset> starts;
    for (const Seen& one : reading.seen)
        starts.push_back(one.start);
    return starts;
}

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

TEST(WalReader, TellsTheEndOfTheLogFromDamage)
{
    TestLog log;
    log.add({.main = Bytes(5)});
    auto end = log.position();
    log.append_zeros(std::size_t{2} * kPageSize);
    for (std::size_t chunk : {1U, 1000U, 100000U})
        EXPECT_EQ(read(log, chunk).status, (Status{State::end_of_log, Fault::none, end}));

    TestLog full;
    full.pad_page_to(0);
    auto boundary = full.position();
    full.append_zeros(kPageSize);
    EXPECT_EQ(read(full).status, (Status{State::end_of_log, Fault::none, boundary}));
}

TEST(WalReader, TellsTheStartOfARecordWhoseRestWasNeverWritten)
{
    TestLog log;
    log.pad_page_to(64);
    auto torn = log.add_torn({.main = Bytes(1000)}, 64);
    log.append_zeros(kPageSize);
    EXPECT_EQ(read(log).status, (Status{State::end_of_log, Fault::none, torn}));
}

TEST(WalReader, StopsForGoodWhereTheLogIsBroken)
{
    TestLog log;
    auto a = log.add({.main = Bytes(5)});
    auto b = log.add({.main = Bytes(5)});
    log.add({.main = Bytes(5)});
    log.bytes()[b + 27 - log.from()] ^= std::byte{1};
    Collector collector;
    WalReader reader(log.identity(), {.at = log.from()}, collector);
    Status broken{State::broken, Fault::record_checksum, b};
    EXPECT_EQ(reader.feed(log.from(), log.bytes()), broken);
    EXPECT_EQ(reader.feed(log.position(), log.bytes()), broken);
    EXPECT_THAT(collector.starts(), ElementsAre(a));
}

TEST(WalReader, RefusesBytesThatDoNotFollow)
{
    TestLog log;
    log.add({.main = Bytes(100)});
    Collector collector;
    WalReader reader(log.identity(), {.at = log.from()}, collector);
    reader.feed(log.from(), ByteView(log.bytes()).first(10));
    Status status = reader.feed(log.from() + 11, ByteView(log.bytes()).subspan(11));
    EXPECT_EQ(status, (Status{State::broken, Fault::gap, log.from() + 10}));
}

TEST(WalReader, StartsOnlyWhereSomethingCanBegin)
{
    TestLog log;
    log.add({.main = Bytes(100)});
    for (model::Offset at : {log.from() + 8, log.from() + 41, log.from() + kPageSize + 16})
        EXPECT_EQ(read(log.identity(), {.at = at}, log.bytes()).status.fault, Fault::start) << at;
}

TEST(WalReader, ChecksTheLinkToTheRecordBefore)
{
    TestLog log;
    auto a = log.add({.main = Bytes(5)});
    auto b = log.add({.main = Bytes(5)});
    auto c = log.add({.main = Bytes(5)});
    EXPECT_THAT(read(log.identity(), {.at = b, .previous = a}, log.view(b)).seen,
                ::testing::SizeIs(2));
    EXPECT_EQ(read(log.identity(), {.at = c, .previous = a}, log.view(c)).status,
              (Status{State::broken, Fault::record_chain, c}));
    // A record may not name one behind itself, whatever came before.
    TestLog self;
    Bytes whole = self.render({.main = Bytes(5)});
    whole[8] = std::byte{0xFF};
    whole[15] = std::byte{0x7F};
    auto start = self.add_bytes(whole);
    EXPECT_EQ(read(self).status, (Status{State::broken, Fault::record_chain, start}));
}

TEST(WalReader, ChecksLengths)
{
    for (std::uint32_t length : {1U, 23U, 1U << 30, 0xFFFFFFFFU}) {
        TestLog log;
        log.add({.main = Bytes(5)});
        auto bad = log.add({.main = Bytes(5)});
        std::memcpy(log.bytes().data() + (bad - log.from()), &length, sizeof length);
        for (std::size_t chunk : {1U, 100000U})
            EXPECT_EQ(read(log, chunk).status, (Status{State::broken, Fault::record_length, bad}))
                << length;
    }
}

TEST(WalReader, DoesNotBelieveALengthThatThePagesDeny)
{
    TestLog log;
    auto bad = log.add({.main = Bytes(5)});
    log.pad_page_to(0);
    log.add({.main = Bytes(5)});
    std::uint32_t length = 1U << 29;
    std::memcpy(log.bytes().data() + (bad - log.from()), &length, sizeof length);
    EXPECT_EQ(read(log).status,
              (Status{State::broken, Fault::continuation, log.from() + kPageSize}));
}

struct PageDamage {
    std::size_t at; ///< byte of the page header
    std::byte flip;
    Fault fault;
};

TEST(WalReader, ChecksPageHeaders)
{
    std::vector<PageDamage> first_page = {
        {0, std::byte{1}, Fault::page_magic},    {2, std::byte{16}, Fault::page_flags},
        {2, std::byte{2}, Fault::page_flags},    {4, std::byte{2}, Fault::page_timeline},
        {4, std::byte{1}, Fault::page_timeline}, {10, std::byte{1}, Fault::page_address},
        {24, std::byte{1}, Fault::system_id},    {34, std::byte{1}, Fault::segment_size},
        {37, std::byte{1}, Fault::page_size}};
    for (const PageDamage& damage : first_page) {
        TestLog log;
        log.add({.main = Bytes(5)});
        log.bytes()[damage.at] ^= damage.flip;
        EXPECT_EQ(read(log).status, (Status{State::broken, damage.fault, log.from()})) << damage.at;
    }
    std::vector<PageDamage> inner_page = {{2, std::byte{1}, Fault::continuation},
                                          {2, std::byte{8}, Fault::page_flags},
                                          {2, std::byte{2}, Fault::page_flags},
                                          {16, std::byte{1}, Fault::continuation},
                                          {19, std::byte{0x80}, Fault::record_length}};
    for (const PageDamage& damage : inner_page) {
        TestLog log;
        log.add({.main = Bytes(10000)});
        log.bytes()[kPageSize + damage.at] ^= damage.flip;
        auto page = log.from() + kPageSize;
        EXPECT_EQ(read(log).status, (Status{State::broken, damage.fault, page})) << damage.at;
    }
}

TEST(WalReader, RefusesAContinuationThatNothingBegan)
{
    TestLog log;
    log.pad_page_to(0);
    auto page = log.position();
    log.add({.main = Bytes(5)});
    log.bytes()[page - log.from() + 2] = std::byte{kContinues};
    log.bytes()[page - log.from() + 16] = std::byte{32};
    EXPECT_EQ(read(log).status, (Status{State::broken, Fault::continuation, page}));
}

TEST(WalReader, NeverStepsBackOnATimeline)
{
    TestLog log({.timeline = 2});
    log.add({.main = Bytes(20000)});
    log.bytes()[4] = std::byte{1};
    EXPECT_EQ(read(log).status.state, State::ok) << "a parent's page comes before";
    log.bytes()[4] = std::byte{2};
    log.bytes()[kPageSize + 4] = std::byte{1};
    EXPECT_EQ(read(log).status,
              (Status{State::broken, Fault::page_timeline, log.from() + kPageSize}));
}

TEST(WalReader, SurvivesEveryPrefixAndEveryFlippedByte)
{
    TestLog log;
    log.add({.main = Bytes(60), .blocks = {{.image = Bytes(50), .data = Bytes(3)}, {.id = 2}}});
    log.add({.main = Bytes(9000)});
    Reading whole = read(log);
    ASSERT_EQ(whole.seen.size(), 2U);
    for (std::size_t cut = 0; cut < log.bytes().size(); ++cut) {
        Reading reading =
            read(log.identity(), {.at = log.from()}, ByteView(log.bytes()).first(cut));
        ASSERT_NE(reading.status.state, State::broken) << cut;
        ASSERT_LE(reading.seen.size(), 1U);
    }
    Bytes good = log.bytes();
    for (std::size_t at = 0; at < 400; ++at)
        for (unsigned flip : {0x01U, 0x80U, 0xFFU}) {
            log.bytes() = good;
            log.bytes()[at] ^= static_cast<std::byte>(flip);
            Reading reading = read(log);
            // Whatever it says of the rest, a record it hands over is a record that was written.
            ASSERT_LE(reading.seen.size(), whole.seen.size());
            for (std::size_t i = 0; i < reading.seen.size(); ++i)
                ASSERT_EQ(reading.seen[i], whole.seen[i]) << at;
            if (reading.status.state == State::ok) {
                ASSERT_EQ(reading.seen, whole.seen) << at;
            }
        }
}

} // namespace
} // namespace tidemark::engine::postgres::wal
