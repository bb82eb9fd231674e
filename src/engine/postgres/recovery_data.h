#pragma once

#include "engine/postgres/control_file.h"
#include "engine/postgres/restore_work.h"
#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"

#include <map>
#include <string>

namespace tidemark::engine::postgres {

// A restored data directory before its recovery begins, and what became of it.

/// The goal, with every limit at least what the cluster itself ran with.
RestoreMemory memory_of(const RecoverySpec& spec, const ControlFile& control);
/// Raises each to what the cluster itself last ran with; did any change?
bool raise_limits(std::map<std::string, std::string>& limits, const ControlFile& control);
/// Removes what a server that ran in it, or an earlier restore, left behind, and puts the label and
/// signals for recovery into their places. To be called before the server first reads them.
void clear_leftovers(const TargetFolder& data, const RecoverySpec& spec);

bool same_goal(const RecoveryGoal& a, const RecoveryGoal& b);
/// Has replay opened a new timeline? Nothing leads back.
bool is_promoted(const ControlFile& control, const RecoveryGoal& goal);
/// Where the new timeline `epoch` leaves the old one, from its history file.
/// Error{point_not_reachable} when that is past the goal.
model::LogPosition branch_point(const TargetFolder& data, const RecoveryGoal& goal,
                                model::Epoch epoch);

} // namespace tidemark::engine::postgres
