#include "job/member_events.h"

#include "model/instances.h"
#include "repo/log_coverage.h"

#include <algorithm>
#include <utility>

namespace tidemark::job {

using model::Offset;
using repo::LogPiece;

namespace {

const model::OpenTransactions::Member* table_of(const EventRange& range)
{
    if (range.previous == nullptr) return nullptr;
    auto found = range.previous->members.find(range.member);
    return found == range.previous->members.end() ? nullptr : &found->second;
}

/// A piece, and where the records end that are wanted of it: (from, to].
struct Part {
    LogPiece piece;
    Offset from = 0;
    Offset to = 0;
};

/// Where the table of the mark before ends, or the chain begins.
Offset wanted_from(const EventRange& range)
{
    const auto* table = table_of(range);
    if (table == nullptr) return range.chain_start.offset;
    return std::max(range.chain_start.offset, model::known_to(*table, range.history));
}

/// Along the history, each record once.
std::vector<Part> kept_parts(const repo::LogCatalog& catalog, const EventRange& range)
{
    Offset from = wanted_from(range);
    std::vector<Part> parts;
    model::LogRange before;
    for (auto& piece :
         catalog.covering(range.history, {range.history.epoch_at(from), from}, range.end)) {
        Part part{.piece = std::move(piece), .to = model::kNever};
        if (part.piece.range.epoch == before.epoch) part.from = before.to;
        for (const auto& step : range.history.ancestors()) {
            if (step.epoch == part.piece.range.epoch) part.to = step.left_at;
        }
        before = part.piece.range;
        parts.push_back(std::move(part));
    }
    return parts;
}

/// Past the points where the history left its epochs. What the table of the mark before knows of
/// such a tail, it carries itself.
std::vector<Part> abandoned_parts(const repo::LogCatalog& catalog, const EventRange& range)
{
    const auto* table = table_of(range);
    std::vector<Part> parts;
    for (const auto& step : range.history.ancestors()) {
        if (step.epoch < (table ? table->epoch : range.chain_start.epoch)) continue;
        Offset from = step.left_at;
        if (table && table->epoch == step.epoch) from = std::max(from, table->e);
        // A gap ends it: nothing depends on what is missing of a dead branch.
        while (auto cover = repo::choose_cover(catalog.pieces, {step.epoch, from, from + 1})) {
            parts.push_back({.piece = cover->back(), .from = from, .to = model::kNever});
            from = cover->back().range.to;
        }
    }
    return parts;
}

} // namespace

std::vector<model::LogIndex>
read_indexes(const repo::LogCatalog& catalog, const EventRange& range,
             const std::function<model::LogIndex(const LogPiece&)>& index)
{
    auto parts = kept_parts(catalog, range);
    auto kept = parts.size();
    for (auto& part : abandoned_parts(catalog, range))
        parts.push_back(std::move(part));
    std::vector<model::LogIndex> out;
    for (const auto& part : parts) {
        auto outside = [&](const auto& event) {
            return event.end <= part.from || event.end > part.to;
        };
        auto one = index(part.piece);
        std::erase_if(one.transactions, outside);
        std::erase_if(one.restore_points, outside);
        std::erase_if(one.times, [&](const auto& point) {
            return point.start < part.from || point.start >= part.to;
        });
        // What nobody can read of a dead branch, or of what the table knows, hides nothing.
        std::erase_if(one.unread, [&](const auto& hole) {
            return out.size() >= kept || hole.to <= wanted_from(range) || hole.from >= part.to;
        });
        out.push_back(std::move(one));
    }
    return out;
}

} // namespace tidemark::job
