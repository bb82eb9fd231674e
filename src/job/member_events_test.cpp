#include "job/member_events.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

// What stood on an abandoned tail matters only beside the rest of its transaction: days of log
// that nobody else knows of are not kept in memory.
TEST(KnownIdsTest, AreThoseOfEventsSeedsAndTheTable)
{
    std::vector<model::CutMember> members(2);
    members[0].log.name = "a";
    members[1].log.name = "b";
    members[0].log.pattern = model::GidPattern::parse("regex:(.*)-[0-9]+");
    for (const char* gid : {"event-1", "unmatched", ""}) {
        auto& event = members[0].log.events.emplace_back();
        event.gid = gid;
    }
    members[1].log.seeds.emplace_back().gid = "seed";
    model::OpenTransactions table;
    table.branches.push_back({.member = "gone", .gid = "table/1", .global_id = "table"});
    table.branches.push_back({.member = "a", .gid = "pattern-3", .global_id = "pattern-3"});
    const KnownIds known(members, &table);
    const auto identical = model::GidPattern::parse("identical");
    for (const char* gid : {"event", "seed", "table", "pattern"}) // as today's patterns read them
        EXPECT_TRUE(known.holds(identical, gid)) << gid;
    EXPECT_TRUE(known.holds(members[0].log.pattern, "event-2"));
    EXPECT_FALSE(known.holds(members[0].log.pattern, "unmatched"));
    for (const char* gid : {"event-1", "unmatched", "", "other", "table/1", "pattern-3"})
        EXPECT_FALSE(known.holds(identical, gid)) << gid;
    EXPECT_FALSE(KnownIds(members, nullptr).holds(identical, "table"));
}

/// Timeline 1 is stored to 700 and was left at 550; the chain begins behind a gap.
std::vector<model::TransactionEvent> tail_of(const std::vector<model::TransactionEvent>& events,
                                             const model::OpenTransactions* previous = nullptr)
{
    const model::History history(2, {{.epoch = 1, .left_at = 550}});
    repo::LogCatalog catalog{
        .id = {.group = "shop", .member = "a"}, .pieces = {}, .histories = {2}, .claims = {}};
    for (const model::LogRange& range :
         {model::LogRange{1, 100, 700}, model::LogRange{2, 900, 1000}})
        catalog.pieces.push_back(
            {.range = range, .lease = 1, .size = 1, .indexed = true, .key = "piece"});
    const EventRange range{.history = history,
                           .previous = previous,
                           .member = "a",
                           .chain_start = {2, 900},
                           .end = {2, 1000}};
    std::vector<model::CutMember> members(1);
    members[0].log.name = "a";
    members[0].log.seeds.emplace_back().gid = "known";
    return read_tails(
        catalog, range,
        [&](const repo::LogPiece& piece) {
            model::LogIndex index;
            if (piece.range.epoch == 1) index.transactions = events;
            return index;
        },
        model::GidPattern::parse("regex:([a-z]+)"), KnownIds(members, previous));
}

model::TransactionEvent on_tail(model::EventKind kind, model::Offset start, std::uint32_t xid,
                                const char* gid = "")
{
    return {.kind = kind,
            .epoch = 1,
            .start = start,
            .end = start + 10,
            .xid = xid,
            .gid = gid,
            .at = {}};
}

// rule 13: also where the log behind the switch has a gap, and no mark lies before it
TEST(ReadTailsTest, WhatMayHaveAPartnerIsKept)
{
    using enum model::EventKind;
    const auto out = tail_of({
        on_tail(prepare, 500, 1, "below"),   // not on the tail
        on_tail(commit, 560, 2),             // of a branch that is open at the switch
        on_tail(rollback, 570, 3),           // likewise, and it did not happen
        on_tail(prepare, 580, 4, "known"),   // has an end
        on_tail(prepare, 590, 5, "open"),    // its partner may come yet
        on_tail(prepare, 600, 6, "done"),    // all its partners were prepared before
        on_tail(prepare, 610, 7, "dropped"), // nobody commits it
        on_tail(prepare, 620, 8, "NOBODYS"), // matches no pattern
        on_tail(commit, 630, 8),
        on_tail(rollback, 640, 7),
        on_tail(commit, 650, 6),
        on_tail(commit, 660, 4),
        on_tail(prepare, 670, 9, "NOBODYS"),
    });
    std::vector<model::Offset> starts;
    for (const auto& event : out)
        starts.push_back(event.start);
    EXPECT_EQ(starts, (std::vector<model::Offset>{560, 580, 660, 590}));
}

TEST(ReadTailsTest, AnEarlierTimelinesTailIsReadOnce)
{
    model::OpenTransactions table;
    table.members["a"] = {.epoch = 2, .e = 950};
    EXPECT_TRUE(tail_of({on_tail(model::EventKind::prepare, 590, 5, "open")}, &table).empty());
    table.members["a"] = {.epoch = 1, .e = 540};
    EXPECT_EQ(tail_of({on_tail(model::EventKind::prepare, 590, 5, "open")}, &table).size(), 1U);
}

// rule 13
TEST(KeptUntilTest, IsTheLastTimeBeforeTheSwitch)
{
    auto seconds = [](int count) { return base::Time{std::chrono::seconds{count}}; };
    std::vector<model::LogIndex> indexes(3);
    indexes[0].range = {1, 100, 500};
    indexes[0].times = {{150, seconds(1)}, {450, seconds(4)}};
    indexes[1].range = {1, 500, 700};
    indexes[1].times = {{520, seconds(3)}}; // the clock was set back
    indexes[2].range = {2, 550, 900};
    indexes[2].times = {{600, seconds(9)}};
    const model::History history(2, {{.epoch = 1, .left_at = 550}});
    model::OpenTransactions table;
    EventRange range{.history = history,
                     .previous = &table,
                     .member = "a",
                     .chain_start = {1, 100},
                     .end = {2, 900}};
    EXPECT_EQ(kept_until(indexes, range), seconds(3)) << "no mark before it knows of the member";
    table.members["a"] = {.epoch = 1, .e = 400};
    EXPECT_EQ(kept_until(indexes, range), seconds(3));
    table.members["a"] = {.epoch = 2, .e = 580};
    EXPECT_EQ(kept_until(indexes, range), std::nullopt) << "the mark before lies behind it";
    table.members["a"] = {.epoch = 1, .e = 400};
    indexes.erase(indexes.begin(), indexes.begin() + 2);
    EXPECT_EQ(kept_until(indexes, range), std::nullopt) << "the log around it is gone";
}

} // namespace
} // namespace tidemark::job
