#include "job/member_events.h"

#include "model/instances.h"
#include "repo/log_coverage.h"

#include <algorithm>
#include <map>
#include <set>
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
        // Without a table, also those from before the chain: a gap may lie behind the switch.
        if (table && step.epoch < table->epoch) continue;
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

std::vector<model::LogIndex> read_indexes(const repo::LogCatalog& catalog, const EventRange& range,
                                          const ReadIndex& index)
{
    std::vector<model::LogIndex> out;
    for (const auto& part : kept_parts(catalog, range)) {
        auto outside = [&](const auto& event) {
            return event.end <= part.from || event.end > part.to;
        };
        auto one = index(part.piece);
        std::erase_if(one.transactions, outside);
        std::erase_if(one.restore_points, outside);
        std::erase_if(one.times, [&](const auto& point) {
            return point.start < part.from || point.start >= part.to;
        });
        // What nobody can read of what the table knows hides nothing.
        std::erase_if(one.unread, [&](const auto& hole) {
            return hole.to <= wanted_from(range) || hole.from >= part.to;
        });
        out.push_back(std::move(one));
    }
    return out;
}

std::optional<base::Time> kept_until(const std::vector<model::LogIndex>& indexes,
                                     const EventRange& range)
{
    const auto* table = table_of(range);
    auto left = table ? table->epoch : range.history.epoch_at(range.chain_start.offset);
    if (left == range.history.current()) return std::nullopt;
    std::optional<model::TimePoint> last;
    for (const auto& index : indexes) {
        if (index.range.epoch > left) continue;
        for (const auto& point : index.times)
            if (!last || point.start > last->start) last = point;
    }
    return last ? std::optional{last->at} : std::nullopt;
}

KnownIds::KnownIds(const std::vector<model::CutMember>& members,
                   const model::OpenTransactions* previous)
{
    for (const auto& member : members) {
        auto add = [&](const std::string& gid) {
            if (gid.empty()) return;
            if (auto id = member.log.pattern.global_id(gid)) ids_.emplace(*id);
        };
        for (const auto& event : member.log.events)
            add(event.gid);
        for (const auto& seed : member.log.seeds)
            add(seed.gid);
    }
    if (previous == nullptr) return;
    for (const auto& branch : previous->branches) {
        // The pattern may be another one than the table was made by.
        auto member =
            std::ranges::find(members, branch.member, [](const auto& one) { return one.log.name; });
        auto id =
            member == members.end() ? branch.global_id : member->log.pattern.global_id(branch.gid);
        if (id) ids_.emplace(*id);
    }
}

bool KnownIds::holds(const model::GidPattern& pattern, const std::string& gid) const
{
    auto id = pattern.global_id(gid);
    return id && ids_.contains(std::string(*id));
}

std::vector<model::TransactionEvent> read_tails(const repo::LogCatalog& catalog,
                                                const EventRange& range, const ReadIndex& index,
                                                const model::GidPattern& pattern,
                                                const KnownIds& known)
{
    std::vector<model::TransactionEvent> out;
    using Xid = std::pair<model::Epoch, std::uint32_t>;
    std::set<Xid> open, strange;
    std::map<Xid, model::TransactionEvent> alone;
    for (const auto& part : abandoned_parts(catalog, range)) {
        for (auto& event : index(part.piece).transactions) {
            if (event.end <= part.from || event.end > part.to) continue;
            const Xid xid{event.epoch, event.xid};
            bool prepare = event.kind == model::EventKind::prepare;
            if (prepare && !known.holds(pattern, event.gid)) {
                if (pattern.global_id(event.gid))
                    alone.insert_or_assign(xid, std::move(event));
                else
                    strange.insert(xid);
                continue;
            }
            if (prepare) {
                open.insert(xid);
            } else if (open.erase(xid) == 0) {
                if (alone.erase(xid) + strange.erase(xid) > 0) continue;
                if (event.kind != model::EventKind::commit) continue;
            }
            out.push_back(std::move(event));
        }
    }
    for (auto& [xid, prepare] : alone)
        out.push_back(std::move(prepare));
    return out;
}

} // namespace tidemark::job
