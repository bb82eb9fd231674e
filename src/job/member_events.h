#pragma once

#include "model/log_events.h"
#include "model/open_transactions.h"
#include "repo/log_catalog.h"

#include <functional>
#include <string>
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

/// Indexes of the pieces from where the table of the mark before ends (rules.md 4), each record
/// once though pieces may overlap (rules.md 32). After them come the tails that the history left
/// since: a prepare that stood there is lost, and wants reporting (rules.md 13). Errors: log_gap;
/// identity_mismatch when the history does not pass through the table's epoch.
std::vector<model::LogIndex>
read_indexes(const repo::LogCatalog& catalog, const EventRange& range,
             const std::function<model::LogIndex(const repo::LogPiece&)>& index);

} // namespace tidemark::job
