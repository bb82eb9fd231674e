#include "repo/log_coverage.h"

#include "base/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace tidemark::repo {

using model::LogPosition;
using model::LogRange;
using model::Offset;

namespace {

/// The pieces of one epoch, by start. They point into `pieces`: a year holds thousands.
std::vector<const LogPiece*> of_epoch(std::span<const LogPiece> pieces, model::Epoch epoch)
{
    std::vector<const LogPiece*> out;
    for (const LogPiece& piece : pieces)
        if (piece.range.epoch == epoch) out.push_back(&piece);
    auto before = [](const LogPiece* a, const LogPiece* b) {
        return std::tie(a->range.from, a->range.to, a->key) <
               std::tie(b->range.from, b->range.to, b->key);
    };
    if (!std::is_sorted(out.begin(), out.end(), before)) std::sort(out.begin(), out.end(), before);
    return out;
}

/// One epoch's part of a history: [from, to), to absent while it is the current one.
struct Stretch {
    model::Epoch epoch = 0;
    Offset from = 0;
    std::optional<Offset> to;
};

std::vector<Stretch> stretches(const model::History& history)
{
    std::vector<Stretch> out;
    Offset from = 0;
    for (const model::History::Step& step : history.ancestors()) {
        out.push_back({.epoch = step.epoch, .from = from, .to = step.left_at});
        from = step.left_at;
    }
    out.push_back({.epoch = history.current(), .from = from, .to = std::nullopt});
    return out;
}

} // namespace

std::vector<LogRange> epoch_ranges(const model::History& history, const LogPosition& from,
                                   const LogPosition& to)
{
    if (history.order(from, to) > 0)
        throw base::Error{base::Code::failed,
                          fmt::format("log from {} to {} runs backwards",
                                      model::format_position(from), model::format_position(to))};
    std::vector<LogRange> out;
    for (const Stretch& stretch : stretches(history)) {
        Offset begin = std::max(from.offset, stretch.from);
        Offset end = stretch.to ? std::min(to.offset, *stretch.to) : to.offset;
        if (begin < end) out.push_back({.epoch = stretch.epoch, .from = begin, .to = end});
    }
    return out;
}

std::vector<LogRange> missing_ranges(std::span<const LogPiece> pieces, const LogRange& wanted)
{
    std::vector<LogRange> out;
    Offset have = wanted.from;
    for (const LogPiece* piece : of_epoch(pieces, wanted.epoch)) {
        if (have >= wanted.to || piece->range.from >= wanted.to) break;
        if (piece->range.from > have)
            out.push_back({.epoch = wanted.epoch, .from = have, .to = piece->range.from});
        have = std::max(have, piece->range.to);
    }
    if (have < wanted.to) out.push_back({.epoch = wanted.epoch, .from = have, .to = wanted.to});
    return out;
}

std::optional<std::vector<LogPiece>> choose_cover(std::span<const LogPiece> pieces,
                                                  const LogRange& wanted)
{
    std::vector<const LogPiece*> sorted = of_epoch(pieces, wanted.epoch);
    std::vector<LogPiece> out;
    Offset have = wanted.from;
    std::size_t next = 0;
    // Of all pieces that begin at or before what is missing, the one that reaches farthest.
    while (have < wanted.to) {
        const LogPiece* best = nullptr;
        for (; next < sorted.size() && sorted[next]->range.from <= have; ++next)
            if (best == nullptr || sorted[next]->range.to > best->range.to) best = sorted[next];
        if (best == nullptr || best->range.to <= have) return std::nullopt;
        have = best->range.to;
        out.push_back(*best);
    }
    return out;
}

std::vector<LogChain> find_chains(std::span<const LogPiece> pieces, const model::History& history)
{
    std::vector<LogChain> out;
    for (const Stretch& stretch : stretches(history)) {
        for (const LogPiece* piece : of_epoch(pieces, stretch.epoch)) {
            Offset from = std::max(piece->range.from, stretch.from);
            Offset to = stretch.to ? std::min(piece->range.to, *stretch.to) : piece->range.to;
            if (from >= to) continue;
            LogPosition end{.epoch = stretch.epoch, .offset = to};
            if (out.empty() || out.back().end.offset < from)
                out.push_back({.start = {.epoch = stretch.epoch, .offset = from}, .end = end});
            else if (out.back().end.offset < to)
                out.back().end = end;
        }
    }
    return out;
}

} // namespace tidemark::repo
