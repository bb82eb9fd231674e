#pragma once

#include "model/cut.h"
#include "model/gid_pattern.h"
#include "model/log_events.h"
#include "model/open_transactions.h"
#include "repo/log_catalog.h"

#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace tidemark::job {

/// Which part of one member's log a mark looks at.
struct EventRange {
    const model::History& history;
    const model::OpenTransactions* previous; ///< of the mark before; null for the first one
    std::string member;
    model::LogPosition chain_start; ///< the log is stored without a gap from here to `end`
    model::LogPosition end;
};

using ReadIndex = std::function<model::LogIndex(const repo::LogPiece&)>;

/// Indexes of the pieces from where the table of the mark before ends (rules.md 4), each record
/// once though pieces may overlap (rules.md 32). Errors: log_gap; identity_mismatch when the
/// history does not pass through the table's epoch.
std::vector<model::LogIndex> read_indexes(const repo::LogCatalog& catalog, const EventRange& range,
                                          const ReadIndex& index);

/// Of those indexes: the time of the last commit or abort that they know of before the history left
/// the epoch of the table of the mark before (or that of the chain's beginning). Nothing where it
/// did not leave it, or nothing is known.
std::optional<base::Time> kept_until(const std::vector<model::LogIndex>& indexes,
                                     const EventRange& range);

/// The transactions that the members' present logs and the table of the mark before tell of.
class KnownIds {
public:
    KnownIds(const std::vector<model::CutMember>& members, const model::OpenTransactions* previous);
    bool holds(const model::GidPattern& pattern, const std::string& gid) const;

private:
    std::unordered_set<std::string> ids_;
};

/// Of the tails that the history left since that table: a prepare that stood there is lost, and
/// wants reporting where the rest of its transaction is there (rules.md 13). Prepares of `known`
/// ids, and their ends; commits of what was prepared before; and prepares without an end, however
/// unknown: their partners may come yet. The rest, which may be days of log, is passed over: what a
/// tail shows committed had all its partners prepared before, and what it shows rolled back is
/// committed nowhere.
std::vector<model::TransactionEvent> read_tails(const repo::LogCatalog& catalog,
                                                const EventRange& range, const ReadIndex& index,
                                                const model::GidPattern& pattern,
                                                const KnownIds& known);

} // namespace tidemark::job
