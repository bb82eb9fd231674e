#pragma once

#include "repo/restore_plan.h"

#include <set>
#include <string>

namespace tidemark::job {

/// Custom resource managers, by their numbers, of which the log that a plan replays holds records:
/// replay needs the library that registers each. From the indexes of the stored log; a piece
/// without a sound one tells nothing.
std::set<std::string> extension_managers(store::Storage& storage, const model::MemberId& id,
                                         const repo::MemberPlan& plan);

} // namespace tidemark::job
