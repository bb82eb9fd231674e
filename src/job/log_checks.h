#pragma once

#include "engine/engine.h"
#include "repo/view.h"

#include <vector>

namespace tidemark::job {

/// What a member's server and the log that is stored of it tell about each other: somebody else
/// moves our slot, the server was put back without the rest of its group, its log was written with
/// wal_level below replica for a while. Only what is not as it should be is listed.
std::vector<engine::Check> check_stored_log(store::Storage& storage, const repo::MemberView& stored,
                                            engine::Session& session);

} // namespace tidemark::job
