// Log that ends, is cut, or is not what it says: told from each other, and nothing invented.

#include "engine/postgres/wal/reader_testing.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres::wal {
namespace {

using base::Bytes;
using base::ByteView;
using ::testing::ElementsAre;

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
