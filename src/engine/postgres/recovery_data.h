#pragma once

#include "engine/postgres/control_file.h"
#include "engine/postgres/restore_work.h"
#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"

namespace tidemark::engine::postgres {

// A restored data directory before its recovery begins.

/// The goal, with every limit at least what the cluster itself ran with.
RestoreMemory memory_of(const RecoverySpec& spec, const ControlFile& control);
/// Removes what a server that ran in it, or an earlier restore, left behind, and puts the label and
/// signals for recovery into their places. To be called before the server first reads them.
void clear_leftovers(const TargetFolder& data, const RecoverySpec& spec);

} // namespace tidemark::engine::postgres
