#include "repo/log_reader.h"

#include "base/error.h"
#include "base/log.h"
#include "repo/index_codec.h"
#include "repo/layout.h"
#include "repo/piece.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;
using model::LogPosition;
using model::Offset;

namespace {

constexpr std::size_t kMaxBuffer = 256u << 20;

PieceId id_of(const LogPiece& piece)
{
    return {.range = piece.range, .lease = piece.lease};
}

} // namespace

LogReader::LogReader(store::Storage& storage, LogCatalog catalog)
    : storage_(storage), catalog_(std::move(catalog))
{
}

void LogReader::read(const model::History& history, const LogPosition& from, const LogPosition& to,
                     const Take& take) const
{
    catalog_.covering(history, from, to);
    for (const model::LogRange& range : epoch_ranges(history, from, to))
        read_range(range, take);
}

/// A damaged piece is left out and the rest covered again, as long as others hold its bytes.
void LogReader::read_range(model::LogRange range, const Take& take) const
{
    std::vector<LogPiece> usable = catalog_.pieces;
    while (range.from < range.to) {
        auto cover = choose_cover(usable, range);
        if (!cover) throw Error{Code::log_gap, "no piece left for " + format_range(range)};
        const LogPiece piece = cover->front();
        try {
            read_piece(piece, range, take);
        } catch (const Error& error) {
            if (error.code() != Code::not_restorable) throw;
            std::erase_if(usable, [&](const LogPiece& other) { return other.key == piece.key; });
            if (!choose_cover(usable, range)) throw;
            base::log_warning("{}; other pieces hold these bytes", error.what());
        }
    }
}

/// Reads what `piece` holds of the range and moves the range's start past it.
void LogReader::read_piece(const LogPiece& piece, model::LogRange& range, const Take& take) const
{
    PieceReader reader{storage_, catalog_.id, id_of(piece)};
    Offset end = std::min(range.to, piece.range.to);
    base::Bytes buffer;
    while (range.from < end) {
        // Up to the frame's end, so that no frame is unpacked twice.
        Offset in_frame = (range.from - piece.range.from) % kPieceFrame;
        buffer.resize(std::min<Offset>(kPieceFrame - in_frame, end - range.from));
        reader.read(range.from, buffer);
        take({.epoch = range.epoch, .offset = range.from}, buffer);
        range.from += buffer.size();
    }
}

base::Bytes LogReader::read(const model::History& history, const LogPosition& from,
                            const LogPosition& to) const
{
    if (to.offset < from.offset || to.offset - from.offset > kMaxBuffer)
        throw Error{Code::failed,
                    fmt::format("log from {} to {} does not fit into one buffer",
                                model::format_position(from), model::format_position(to))};
    base::Bytes out;
    out.reserve(to.offset - from.offset);
    read(history, from, to, [&](const LogPosition&, base::ByteView bytes) {
        out.insert(out.end(), bytes.begin(), bytes.end());
    });
    return out;
}

std::optional<model::LogIndex> LogReader::stored_index(const LogPiece& piece) const
{
    std::string key = index_key(catalog_.id, id_of(piece));
    try {
        auto bytes = store::get(storage_, key, kMaxIndexBytes);
        if (!bytes) return std::nullopt;
        StoredIndex stored = decode_index(*bytes);
        if (stored.piece_key == piece.key && stored.piece_size == piece.size &&
            stored.index.range == piece.range)
            return std::move(stored.index);
        base::log_warning("{} belongs to another piece; it is made again", key);
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        base::log_warning("{} is damaged and is made again: {}", key, error.what());
    }
    return std::nullopt;
}

model::LogIndex LogReader::index(const LogPiece& piece, const RebuildIndex& rebuild) const
{
    if (auto stored = stored_index(piece)) return std::move(*stored);
    if (!rebuild)
        throw Error{Code::failed,
                    fmt::format("the index of {} is missing or damaged", piece.key),
                    {.hint = "it is derived data: any command that writes to the repository makes "
                             "it again"}};
    model::LogIndex made = rebuild(piece);
    store_index(piece, made);
    return made;
}

model::LogIndex LogReader::reindex(const LogPiece& piece, const RebuildIndex& rebuild) const
{
    model::LogIndex made = rebuild(piece);
    storage_.remove(index_key(catalog_.id, id_of(piece)));
    store_index(piece, made);
    return made;
}

void LogReader::store_index(const LogPiece& piece, const model::LogIndex& index) const
{
    if (index.range != piece.range)
        throw Error{Code::failed,
                    fmt::format("the new index of {} describes another range", piece.key)};
    try {
        note_barriers(storage_, catalog_.id, index);
        PieceReader reader{storage_, catalog_.id, id_of(piece)};
        StoredIndex stored{.index = index,
                           .piece_sha256 = reader.verify(std::nullopt),
                           .piece_size = reader.stored_size(),
                           .piece_key = piece.key};
        store::put(storage_, index_key(catalog_.id, id_of(piece)), encode_index(stored));
    } catch (const Error& error) {
        // A repository that can only be read is still readable.
        base::log_warning("the index of {} could not be stored: {}", piece.key, error.what());
    }
}

std::vector<model::LogIndex> LogReader::indexes(const model::History& history,
                                                const LogPosition& from, const LogPosition& to,
                                                const RebuildIndex& rebuild) const
{
    std::vector<model::LogIndex> out;
    for (const LogPiece& piece : catalog_.covering(history, from, to))
        out.push_back(index(piece, rebuild));
    return out;
}

} // namespace tidemark::repo
