#pragma once

#include "engine/engine.h"
#include "repo/view.h"

#include <vector>

namespace tidemark::job {

/// What is stored of the group's members beside the one that is looked at.
using OtherMembers = std::vector<const repo::MemberView*>;

/// What a member's server and the log that is stored of it tell about each other: another cluster
/// answers, a run died while it healed the chain, somebody else moves our slot, the server was put
/// back without the rest of its group, its log was written with wal_level below replica for a
/// while. Only what is not as it should be is added to `checks`, those of the session itself. Of
/// another cluster nothing else is told: what would mend that one makes it worse. A group of which
/// all members were put back with no mark in between was not torn by that: `marks` are all that are
/// stored, needed only where all members went back.
std::vector<engine::Check> check_stored_log(store::Storage& storage, const repo::MemberView& stored,
                                            engine::Session& session,
                                            std::vector<engine::Check> checks,
                                            const OtherMembers& others = {},
                                            const std::vector<repo::StoredMark>& marks = {});

/// As far as the repository knows: its newest log lies behind a tail that was lost.
bool went_back(const repo::MemberView& stored);

} // namespace tidemark::job
