#include "engine/postgres/wal/tablespace.h"

#include "base/error.h"
#include "engine/postgres/wal/decoder.h"
#include "engine/postgres/wal/records_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace tidemark::engine::postgres::wal {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

model::LogIndex index_after(const TestLog& log, const base::Bytes& bytes)
{
    IndexBuilder builder({.version_num = 150004,
                          .system_id = std::to_string(0x1234567890ABCDEF),
                          .log_segment_size = kMinSegmentSize,
                          .epoch = 1,
                          .range_from = log.from(),
                          .feed_from = log.from()});
    builder.feed(log.from(), bytes);
    return builder.take();
}

std::vector<LogPatch> patches_at(TestLog& log, model::Offset start)
{
    return keep_inside(log.identity(), start, log.view(start));
}

void put(TestLog& log, const std::vector<LogPatch>& patches)
{
    for (const auto& patch : patches)
        std::copy(patch.bytes.begin(), patch.bytes.end(),
                  log.bytes().begin() + static_cast<std::ptrdiff_t>(patch.at - log.from()));
}

// rule 29
TEST(Tablespace, ItsLocationIsNoticedAndCanBeTakenAway)
{
    TestLog log;
    log.add(commit(1));
    auto start = log.add(tablespace(16394, "/srv/later"));
    log.add(commit(2));
    auto before = index_after(log, log.bytes());
    EXPECT_THAT(before.notices,
                ElementsAre(model::LogNotice{model::LogNoticeKind::tablespace_created, start,
                                             "16394 /srv/later"}));
    auto patches = patches_at(log, start);
    EXPECT_THAT(patches, SizeIs(1));
    put(log, patches);
    auto after = index_after(log, log.bytes());
    EXPECT_THAT(after.notices, ElementsAre(model::LogNotice{
                                   model::LogNoticeKind::tablespace_created, start, "16394 "}));
    EXPECT_EQ(after.records, before.records);
    EXPECT_EQ(after.commits, 2U);
}

// rule 11, 29
TEST(Tablespace, ARecordMayLieOnTwoPagesAndInTwoSegments)
{
    const std::string far = "/srv/" + std::string(900, 'x');
    for (std::size_t page : {std::size_t{1}, std::size_t{kMinSegmentSize / kPageSize}}) {
        for (std::size_t room :
             {std::size_t{8}, std::size_t{16}, std::size_t{24}, std::size_t{200}}) {
            TestLog log;
            log.add(commit(1));
            while (log.position() / kPageSize + 1 < log.from() / kPageSize + page)
                log.pad_page_to(0);
            log.pad_page_to(room);
            auto start = log.add(tablespace(5, far));
            log.add(commit(2));
            auto patches = patches_at(log, start);
            EXPECT_THAT(patches, SizeIs(::testing::Ge(2U))) << page << " " << room;
            put(log, patches);
            auto index = index_after(log, log.bytes());
            EXPECT_THAT(index.notices, ElementsAre(model::LogNotice{
                                           model::LogNoticeKind::tablespace_created, start, "5 "}))
                << page << " " << room;
            EXPECT_EQ(index.commits, 2U);
        }
    }
}

TEST(Tablespace, NothingElseIsTouched)
{
    TestLog log;
    auto other = log.add(commit(1));
    auto start = log.add(tablespace(16394, "/srv/later"));
    EXPECT_THROW(patches_at(log, other), base::Error);
    EXPECT_THROW(keep_inside(log.identity(), start, log.view(start).first(40)), base::Error);
    log.bytes()[start - log.from() + 40] ^= std::byte{1};
    EXPECT_THROW(patches_at(log, start), base::Error);
}

} // namespace
} // namespace tidemark::engine::postgres::wal
