#pragma once

#include "job/context.h"
#include "job/expire_survey.h"

namespace tidemark::job {

struct JoinOptions {
    base::Duration after{};        ///< only pieces that are at least so old
    std::size_t at_least = 8;      ///< fewer neighbours are left alone
    std::size_t limit = 32U << 20; ///< plain bytes of a joined piece
};

struct JoinReport {
    std::size_t pieces = 0; ///< that were joined
    std::size_t made = 0;   ///< of them
};

/// Joins small neighbouring pieces of every member's log into larger ones with equal bytes and a
/// merged index, and names these in a new generation of the joined catalogue (rules.md 36). The
/// pieces they stand for stay; the next survey lets them go.
JoinReport join_log(const Context& context, const repo::Lease& lease, const Survey& survey,
                    const JoinOptions& options);

/// The index of neighbouring ranges taken together. Pure; `parts` ascend without a gap.
model::LogIndex merge_indexes(const std::vector<model::LogIndex>& parts);

} // namespace tidemark::job
