#include "repo/log_catalog.h"

#include "base/error.h"
#include "repo/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <tuple>
#include <utility>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

auto sort_key(const LogPiece& piece)
{
    return std::tuple{piece.range.epoch, piece.range.from, piece.range.to, piece.lease};
}

bool before(const LogPiece& a, const LogPiece& b)
{
    return sort_key(a) < sort_key(b);
}

} // namespace

LogCatalog LogCatalog::load(store::Storage& storage, const model::MemberId& id)
{
    LogCatalog out{.id = id, .pieces = {}, .histories = {}, .claims = {}};
    std::set<std::string> indexes;
    for (store::ObjectInfo& info : storage.list(log_prefix(id))) {
        auto key = parse_key(info.key);
        if (!key) continue;
        if (key->kind == KeyKind::piece)
            out.pieces.push_back({.range = key->range,
                                  .lease = key->lease,
                                  .size = info.size,
                                  .indexed = false,
                                  .key = std::move(info.key)});
        if (key->kind == KeyKind::index) indexes.insert(piece_key(id, key->piece_id()));
        if (key->kind == KeyKind::history) out.histories.push_back(key->range.epoch);
        if (key->kind == KeyKind::barrier)
            out.barriers.push_back({key->range.epoch, key->range.from});
        if (key->kind == KeyKind::claim) out.claims.push_back(key->range.epoch);
    }
    for (LogPiece& piece : out.pieces)
        piece.indexed = indexes.contains(piece.key);
    std::sort(out.pieces.begin(), out.pieces.end(), before);
    std::sort(out.histories.begin(), out.histories.end());
    std::ranges::sort(out.barriers, {}, [](const model::LogPosition& one) {
        return std::pair{one.epoch, one.offset};
    });
    std::sort(out.claims.begin(), out.claims.end());
    return out;
}

std::optional<LogChain> LogCatalog::newest_chain(const model::History& history) const
{
    auto chains = find_chains(pieces, history);
    if (chains.empty()) return std::nullopt;
    return chains.back();
}

std::optional<model::LogPosition> LogCatalog::durable_end(const model::History& history) const
{
    auto chain = newest_chain(history);
    if (!chain) return std::nullopt;
    return chain->end;
}

std::vector<model::LogRange> LogCatalog::gaps(const model::History& history,
                                              const model::LogPosition& from,
                                              const model::LogPosition& to) const
{
    std::vector<model::LogRange> out;
    for (const model::LogRange& range : epoch_ranges(history, from, to))
        for (const model::LogRange& gap : missing_ranges(pieces, range))
            out.push_back(gap);
    return out;
}

std::optional<model::LogPosition> LogCatalog::barrier(const model::History& history,
                                                      const model::LogPosition& from,
                                                      const model::LogPosition& to) const
{
    auto found = std::ranges::find_if(barriers, [&](const model::LogPosition& one) {
        return history.contains(one) && history.order(from, one) <= 0 && history.order(one, to) < 0;
    });
    return found == barriers.end() ? std::nullopt : std::optional{*found};
}

std::vector<LogPiece> LogCatalog::covering(const model::History& history,
                                           const model::LogPosition& from,
                                           const model::LogPosition& to) const
{
    std::vector<LogPiece> out;
    std::string missing;
    for (const model::LogRange& range : epoch_ranges(history, from, to)) {
        auto cover = choose_cover(pieces, range);
        if (cover)
            out.insert(out.end(), cover->begin(), cover->end());
        else
            for (const model::LogRange& gap : missing_ranges(pieces, range))
                missing += (missing.empty() ? "" : ", ") + format_range(gap);
    }
    if (!missing.empty())
        throw Error{
            Code::log_gap,
            fmt::format("the repository holds no log of member {} for {}", id.member, missing),
            {.hint = "a new base backup heals the chain; marks before the gap stay good"}};
    return out;
}

void LogCatalog::add(LogPiece piece)
{
    auto at = std::lower_bound(pieces.begin(), pieces.end(), piece, before);
    if (at != pieces.end() && at->key == piece.key) return;
    pieces.insert(at, std::move(piece));
}

void note_barriers(store::Storage& storage, const model::MemberId& id, const model::LogIndex& index)
{
    for (const model::LogNotice& notice : index.notices) {
        if (notice.kind != model::LogNoticeKind::wal_level_minimal) continue;
        auto key = barrier_key(id, {index.range.epoch, notice.start});
        store::put(storage, key, base::as_bytes(kBarrierText)); // one that is there says the same
    }
}

std::string format_range(const model::LogRange& range)
{
    std::string out =
        fmt::format("{} to {}", model::format_offset(range.from), model::format_offset(range.to));
    if (range.epoch != 1) out += fmt::format(" of timeline {}", range.epoch);
    return out;
}

} // namespace tidemark::repo
