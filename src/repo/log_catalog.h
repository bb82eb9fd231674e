#pragma once

#include "model/ids.h"
#include "model/log_events.h"
#include "model/log_position.h"
#include "repo/log_coverage.h"
#include "store/storage.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::repo {

/// The pieces of one member's log: a value made from one listing.
struct LogCatalog {
    model::MemberId id;
    std::vector<LogPiece> pieces;        ///< by epoch, start, end, lease
    std::vector<model::Epoch> histories; ///< epochs whose history file is stored
    std::vector<model::Epoch> claims;    ///< timelines claimed for a promotion
    /// Records that no recovery gets past, ascending (see note_barriers).
    std::vector<model::LogPosition> barriers = {};

    static LogCatalog load(store::Storage& storage, const model::MemberId& id);

    /// Where the durable log along `history` ends; empty when there is none.
    std::optional<model::LogPosition> durable_end(const model::History& history) const;
    /// The chain that ends at durable_end().
    std::optional<LogChain> newest_chain(const model::History& history) const;
    /// What is missing of [from, to) along `history`.
    std::vector<model::LogRange> gaps(const model::History& history, const model::LogPosition& from,
                                      const model::LogPosition& to) const;
    /// The first barrier in [from, to) along `history`: recovery from below it ends there.
    std::optional<model::LogPosition> barrier(const model::History& history,
                                              const model::LogPosition& from,
                                              const model::LogPosition& to) const;
    /// Pieces that cover [from, to) along `history`, in order; Error{log_gap} names what is
    /// missing.
    std::vector<LogPiece> covering(const model::History& history, const model::LogPosition& from,
                                   const model::LogPosition& to) const;
    /// Adds a piece just written, so that the listing need not be repeated.
    void add(LogPiece piece);
};

/// Records in the repository which records of this log no recovery gets past, as the index tells:
/// those that say wal_level is minimal ("WAL was generated with wal_level=minimal", xlog_redo).
/// Names of empty objects, so that every plan knows them from the listing of the log. Comes before
/// the log itself, so that nothing that needs the log is planned without.
void note_barriers(store::Storage& storage, const model::MemberId& id,
                   const model::LogIndex& index);

/// The line that such an object holds, for people.
inline constexpr std::string_view kBarrierText = "wal_level was minimal from here on\n";

/// "16/B374D848 to 16/B4000000 of timeline 3", for people.
std::string format_range(const model::LogRange& range);

} // namespace tidemark::repo
