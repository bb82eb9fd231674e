#pragma once

#include "engine/engine.h"
#include "model/log_position.h"
#include "repo/view.h"

#include <cstdint>
#include <optional>

namespace tidemark::job {

/// Log behind the end of what is stored that cannot come any more. The pieces do not show it: there
/// is none behind it yet.
struct ChainGap {
    model::LogPosition from; ///< end of the stored log
    model::LogPosition to;
};

/// Up to the start of the chain that the newest identity records: a healing run records it first,
/// and can die before its base backup. Absent when log is stored from there on, or a base backup
/// begins there or later.
std::optional<ChainGap> announced_gap(const repo::MemberView& stored);

/// Behind the last but one stretch of stored log, while no base backup begins behind it.
std::optional<ChainGap> unhealed_gap(const repo::MemberView& stored, const model::History& history);

/// Up to where our slot stands: the server keeps nothing before it. `history` is the server's.
/// Looks into the repository once more before it says so: what a job stored since `stored` was read
/// has moved the slot, too.
std::optional<ChainGap> slot_gap(store::Storage& storage, const repo::MemberView& stored,
                                 const model::History& history, std::uint32_t segment_size,
                                 const engine::SlotState& slot);

} // namespace tidemark::job
