#pragma once

#include "model/cut.h"

namespace tidemark::job {

/// Does this cut hold a base backup that ended at `stop` (rules.md 10)? A later one may when it
/// does not. Error{mark_not_placed} when none of this history ever can: the server was failed over
/// to a branch that begins before the backup's end.
bool holds_backup(const model::MemberCut& member, const model::History& history,
                  const model::LogPosition& stop);

} // namespace tidemark::job
