#include "repo/log_coverage.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace tidemark::repo {
namespace {

using model::History;
using model::LogPosition;
using model::LogRange;
using model::Offset;
using ::testing::ElementsAre;

constexpr Offset kWorld = 64;

LogPiece piece(Offset from, Offset to, model::Epoch epoch = 1)
{
    return {.range = {.epoch = epoch, .from = from, .to = to},
            .lease = 1,
            .size = to - from,
            .indexed = true,
            .key = std::to_string(epoch) + ":" + std::to_string(from) + "-" + std::to_string(to)};
}

/// Any pieces of two epochs in a small world, overlapping or not.
rc::Gen<std::vector<LogPiece>> any_pieces()
{
    auto one = rc::gen::map(rc::gen::tuple(rc::gen::inRange<Offset>(0, kWorld),
                                           rc::gen::inRange<Offset>(1, 20),
                                           rc::gen::inRange<model::Epoch>(1, 3)),
                            [](const auto& t) {
                                auto [from, length, epoch] = t;
                                return piece(from, std::min(from + length, kWorld), epoch);
                            });
    return rc::gen::container<std::vector<LogPiece>>(one);
}

/// Byte by byte, slowly.
bool holds(const std::vector<LogPiece>& pieces, model::Epoch epoch, Offset at)
{
    for (const LogPiece& one : pieces)
        if (one.range.epoch == epoch && one.range.from <= at && at < one.range.to) return true;
    return false;
}

TEST(LogCoverage, MissingIsExactlyWhatNoPieceHolds)
{
    EXPECT_TRUE(rc::check("missing_ranges", [] {
        auto pieces = *any_pieces();
        Offset from = *rc::gen::inRange<Offset>(0, kWorld);
        Offset to = *rc::gen::inRange<Offset>(from, kWorld + 1);
        auto missing = missing_ranges(pieces, {.epoch = 1, .from = from, .to = to});
        for (Offset at = 0; at <= kWorld; ++at) {
            bool listed = false;
            for (const LogRange& gap : missing)
                listed |= gap.from <= at && at < gap.to;
            RC_ASSERT(listed == (at >= from && at < to && !holds(pieces, 1, at)));
        }
        for (std::size_t i = 1; i < missing.size(); ++i)
            RC_ASSERT(missing[i - 1].to < missing[i].from);
    }));
}

/// The fewest pieces by trying all numbers of pieces: position -> pieces needed to get there.
std::optional<std::size_t> fewest(const std::vector<LogPiece>& pieces, Offset from, Offset to)
{
    std::vector<std::size_t> need(kWorld + 1, SIZE_MAX);
    need[from] = 0;
    for (Offset at = from; at < to; ++at) {
        if (need[at] == SIZE_MAX) continue;
        for (const LogPiece& one : pieces)
            if (one.range.epoch == 1 && one.range.from <= at && at < one.range.to)
                for (Offset end = at + 1; end <= one.range.to; ++end)
                    need[end] = std::min(need[end], need[at] + 1);
    }
    if (need[to] == SIZE_MAX) return std::nullopt;
    return need[to];
}

TEST(LogCoverage, CoverIsContiguousAndMinimal)
{
    EXPECT_TRUE(rc::check("choose_cover", [] {
        auto pieces = *any_pieces();
        Offset from = *rc::gen::inRange<Offset>(0, kWorld);
        Offset to = *rc::gen::inRange<Offset>(from, kWorld + 1);
        auto cover = choose_cover(pieces, {.epoch = 1, .from = from, .to = to});
        auto best = fewest(pieces, from, to);
        RC_ASSERT(cover.has_value() == best.has_value());
        if (!cover) return;
        RC_ASSERT(cover->size() == *best);
        Offset have = from;
        for (const LogPiece& one : *cover) {
            RC_ASSERT(one.range.epoch == 1U);
            RC_ASSERT(one.range.from <= have);
            RC_ASSERT(one.range.to > have);
            have = one.range.to;
        }
        RC_ASSERT(have >= to);
    }));
}

TEST(LogCoverage, ChainsAreTheMaximalStretchesAlongTheHistory)
{
    EXPECT_TRUE(rc::check("find_chains", [] {
        auto pieces = *any_pieces();
        Offset left_at = *rc::gen::inRange<Offset>(0, kWorld);
        History history{2, {{.epoch = 1, .left_at = left_at}}};
        auto chains = find_chains(pieces, history);
        for (Offset at = 0; at < kWorld; ++at) {
            bool in_chain = false;
            for (const LogChain& chain : chains)
                in_chain |= chain.start.offset <= at && at < chain.end.offset;
            RC_ASSERT(in_chain == holds(pieces, history.epoch_at(at), at));
        }
        for (std::size_t i = 0; i < chains.size(); ++i) {
            RC_ASSERT(history.order(chains[i].start, chains[i].end) == std::strong_ordering::less);
            if (i > 0) RC_ASSERT(chains[i - 1].end.offset < chains[i].start.offset);
        }
    }));
}

TEST(LogCoverage, RangesFollowTheHistory)
{
    History history{5, {{.epoch = 1, .left_at = 100}, {.epoch = 3, .left_at = 200}}};
    EXPECT_THAT(epoch_ranges(history, {.epoch = 1, .offset = 50}, {.epoch = 5, .offset = 250}),
                ElementsAre(LogRange{.epoch = 1, .from = 50, .to = 100},
                            LogRange{.epoch = 3, .from = 100, .to = 200},
                            LogRange{.epoch = 5, .from = 200, .to = 250}));
    EXPECT_TRUE(
        epoch_ranges(history, {.epoch = 3, .offset = 150}, {.epoch = 3, .offset = 150}).empty());
    EXPECT_THROW(epoch_ranges(history, {.epoch = 1, .offset = 150}, {.epoch = 5, .offset = 250}),
                 base::Error)
        << "past the point where the history left epoch 1";
    EXPECT_THROW(epoch_ranges(history, {.epoch = 5, .offset = 250}, {.epoch = 1, .offset = 50}),
                 base::Error);
}

// rule 13
TEST(LogCoverage, AbandonedTailIsNoPartOfTheChain)
{
    History history{2, {{.epoch = 1, .left_at = 30}}};
    std::vector<LogPiece> pieces{piece(10, 20), piece(20, 50), piece(30, 40, 2)};
    auto chains = find_chains(pieces, history);
    ASSERT_EQ(chains.size(), 1U);
    EXPECT_EQ(chains[0].start, (LogPosition{.epoch = 1, .offset = 10}));
    EXPECT_EQ(chains[0].end, (LogPosition{.epoch = 2, .offset = 40}));
    auto before = find_chains(std::vector<LogPiece>{piece(10, 50)}, history);
    ASSERT_EQ(before.size(), 1U);
    EXPECT_EQ(before[0].end, (LogPosition{.epoch = 1, .offset = 30}));
}

} // namespace
} // namespace tidemark::repo
