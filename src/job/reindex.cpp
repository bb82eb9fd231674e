#include "job/reindex.h"

#include "base/error.h"
#include "job/index_maker.h"
#include "repo/histories.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using model::LogPosition;
using model::Offset;

namespace {

/// The start of the chain that `at` belongs to: no log is stored right below it.
Offset chain_start(const repo::LogCatalog& catalog, const model::History& history,
                   const LogPosition& at)
{
    Offset start = at.offset;
    for (const auto& chain : repo::find_chains(catalog.pieces, history)) {
        if (chain.start.offset <= at.offset && at.offset <= chain.end.offset)
            start = chain.start.offset;
    }
    return start;
}

} // namespace

Offset first_readable(Offset start, const model::History& history, std::uint32_t segment_size)
{
    bool switched = std::ranges::any_of(history.ancestors(),
                                        [&](const auto& step) { return step.left_at == start; });
    if (start % segment_size == 0 || switched) return start;
    return start - start % segment_size + segment_size;
}

repo::RebuildIndex index_rebuilder(const Context& context, const model::MemberSpec& member,
                                   const model::Identity& identity, const repo::LogCatalog& catalog,
                                   const model::History& history, const RebuildOptions& options)
{
    return [&, options](const repo::LogPiece& piece) {
        repo::LogReader reader(context.storage(), catalog);
        auto along = history.current() == piece.range.epoch
                         ? history
                         : repo::load_history(context.storage(), catalog.id, piece.range.epoch);
        LogPosition from{piece.range.epoch, piece.range.from};
        // A segment's first page says how much of a record hangs over into it, so that is where
        // reading can begin cold.
        Offset cold = std::max(from.offset - from.offset % identity.log_segment_size,
                               chain_start(catalog, along, from));
        cold = first_readable(cold, along, identity.log_segment_size);
        if (cold >= piece.range.to)
            throw base::Error{base::Code::log_gap,
                              "retention removed the log before " + piece.key +
                                  ", so it cannot be decoded alone",
                              {.hint = "its index is needed by no mark that is kept"}};
        engine::DecoderStart start{.version_num = identity.version_num,
                                   .system_id = identity.system_id,
                                   .log_segment_size = identity.log_segment_size,
                                   .epoch = piece.range.epoch,
                                   .range_from = std::max(from.offset, cold),
                                   .feed_from = cold,
                                   .at_record = cold % identity.log_segment_size != 0,
                                   .every_time = options.every_time};
        IndexMaker maker(context.engine(member), start);
        reader.read(
            along, {along.epoch_at(cold), cold}, {piece.range.epoch, piece.range.to},
            [&](const LogPosition& at, base::ByteView bytes) { maker.feed(at.offset, bytes); });
        auto index = maker.take();
        index.range.from = from.offset;
        return index;
    };
}

namespace {

/// An index that says it is not whole is made again, too: this program may know more.
void reindex_piece(const repo::LogReader& reader, const repo::LogPiece& piece,
                   const repo::RebuildIndex& rebuild, ReindexReport& report)
{
    bool made = false;
    auto counting = [&](const repo::LogPiece& missing) {
        made = true;
        return rebuild(missing);
    };
    auto index = reader.index(piece, counting);
    if (!made && !index.unread.empty()) {
        auto again = rebuild(piece);
        made = again != index;
        if (made) index = reader.reindex(piece, [&](const repo::LogPiece&) { return again; });
    }
    if (made) ++report.rebuilt;
    for (const auto& hole : index.unread)
        report.problems.push_back(fmt::format("{}: log from {} to {} cannot be read: {}", piece.key,
                                              model::format_offset(hole.from),
                                              model::format_offset(hole.to), hole.why));
}

} // namespace

ReindexReport reindex(const Context& context)
{
    ReindexReport report;
    for (const auto& member : context.group.members) {
        model::MemberId id{.group = context.group.name, .member = member.name};
        auto recorded = repo::Identities(context.storage(), id).latest();
        if (!recorded) continue;
        auto catalog = repo::LogCatalog::load(context.storage(), id);
        repo::LogReader reader(context.storage(), catalog);
        std::uint64_t total = 0, done = 0;
        for (const auto& piece : catalog.pieces)
            total += piece.range.to - piece.range.from;
        context.progress.stage(member.name, "index log", total);
        for (const auto& piece : catalog.pieces) {
            ++report.pieces;
            try {
                auto history = repo::load_history(context.storage(), id, piece.range.epoch);
                reindex_piece(
                    reader, piece,
                    index_rebuilder(context, member, recorded->value.identity, catalog, history),
                    report);
            } catch (const base::Error& error) {
                if (error.code() != base::Code::failed &&
                    error.code() != base::Code::not_restorable &&
                    error.code() != base::Code::log_gap)
                    throw;
                report.problems.push_back(piece.key + ": " + error.what());
            }
            done += piece.range.to - piece.range.from;
            context.progress.advance(member.name, done);
        }
        context.progress.finished(member.name);
    }
    return report;
}

} // namespace tidemark::job
