#pragma once

#include "base/bytes.h"
#include "model/log_events.h"
#include "repo/log_catalog.h"
#include "store/storage.h"

#include <functional>

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
    /// The index of one piece. A missing or unreadable one comes from `rebuild`; it is then stored
    /// again if its name is free.
    model::LogIndex index(const LogPiece& piece, const RebuildIndex& rebuild) const;
    /// Indexes of the pieces that cover [from, to) along `history`, in order.
    std::vector<model::LogIndex> indexes(const model::History& history,
                                         const model::LogPosition& from,
                                         const model::LogPosition& to,
                                         const RebuildIndex& rebuild) const;

private:
    void read_piece(const LogPiece& piece, model::Offset from, model::Offset to,
                    const Take& take) const;

    store::Storage& storage_;
    LogCatalog catalog_;
};

} // namespace tidemark::repo
