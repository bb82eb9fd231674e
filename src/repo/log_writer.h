#pragma once

#include "model/backup_set.h"
#include "model/ids.h"
#include "model/log_events.h"
#include "repo/lease.h"
#include "repo/piece.h"
#include "store/storage.h"

#include <optional>

namespace tidemark::repo {

/// Appends to one member's log. What put() returned is durable; only then may the server be told.
class LogWriter {
public:
    struct Options {
        std::uint32_t log_segment_size = 0; ///< bytes; where a new chain may begin (rules.md 11)
    };
    /// `end`: where the durable log ends now (LogCatalog::durable_end); empty without any log.
    LogWriter(store::Storage& storage, model::MemberId id, const Lease& lease,
              std::optional<model::LogPosition> end, Options options);

    /// Where the next piece must begin; empty before the first chain.
    const std::optional<model::LogPosition>& end() const { return end_; }
    /// The next piece begins a new chain at `at`, a segment boundary: what lies between is a gap.
    void start_chain(const model::LogPosition& at);
    /// The log goes on in `next`, which left the present epoch at `at` (rules.md 14). Its history
    /// must be stored already, and our log must reach `at`; else Error{log_gap}.
    void switch_epoch(model::Epoch next, model::Offset at);
    /// Stores a piece, then its index, and returns when both are durable. A piece that does not
    /// begin at end() is Error{log_gap}; a lost lease is Error{lease_held}. The index describes
    /// exactly the piece's range.
    model::PieceRef put(const BuiltPiece& piece, const model::LogIndex& index);

private:
    store::Storage& storage_;
    model::MemberId id_;
    const Lease& lease_;
    std::optional<model::LogPosition> end_;
    Options options_;
};

} // namespace tidemark::repo
