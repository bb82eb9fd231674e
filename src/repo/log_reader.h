#pragma once

#include "base/bytes.h"
#include "model/log_events.h"
#include "repo/log_catalog.h"
#include "store/storage.h"

#include <functional>
#include <optional>
#include <vector>

namespace tidemark::repo {

/// Makes the index of a piece anew; the callback knows the log format (an engine's decoder).
using RebuildIndex = std::function<model::LogIndex(const LogPiece&)>;

/// Reads a member's stored log: bytes at any boundary, and the indexes.
class LogReader {
public:
    LogReader(store::Storage& storage, LogCatalog catalog);

    const LogCatalog& catalog() const { return catalog_; }
    /// Plain bytes of [from, to) along `history`, given to `take` in order, in parts of at most a
    /// frame. Error{log_gap} before the first byte when something is missing; damaged pieces are
    /// Error{failed} naming the object.
    using Take = std::function<void(const model::LogPosition&, base::ByteView)>;
    void read(const model::History& history, const model::LogPosition& from,
              const model::LogPosition& to, const Take& take) const;
    /// The same in one buffer; at most 256 MiB.
    base::Bytes read(const model::History& history, const model::LogPosition& from,
                     const model::LogPosition& to) const;
    /// The index of one piece. One that is missing, unreadable or of another piece is made again by
    /// `rebuild` and stored if its name is free. Without a `rebuild` it is an Error.
    model::LogIndex index(const LogPiece& piece, const RebuildIndex& rebuild) const;
    /// Indexes of the pieces that cover [from, to) along `history`, in order.
    std::vector<model::LogIndex> indexes(const model::History& history,
                                         const model::LogPosition& from,
                                         const model::LogPosition& to,
                                         const RebuildIndex& rebuild) const;
    /// Makes the index of a piece anew, in place of the one that is there.
    model::LogIndex reindex(const LogPiece& piece, const RebuildIndex& rebuild) const;

private:
    std::optional<model::LogIndex> stored_index(const LogPiece& piece) const;
    void store_index(const LogPiece& piece, const model::LogIndex& index) const;
    void read_range(model::LogRange range, const Take& take) const;
    void read_piece(const LogPiece& piece, model::LogRange& range, const Take& take) const;

    store::Storage& storage_;
    LogCatalog catalog_;
};

} // namespace tidemark::repo
