#pragma once

#include "engine/engine.h"

#include <string>
#include <utility>
#include <vector>

namespace tidemark::job {

/// What init refuses whatever the repository holds; so it can be looked at before one is made.

/// Error{member_not_ready} when a slot that nobody reads could fill the server's disk.
void refuse_unbounded(const engine::SlotState& slot, engine::Session& session);

/// Names of members with the system identifiers of their servers. Error{usage} when one cluster
/// stands there under two names: it would be backed up twice and restored to two places.
void refuse_twins(const std::vector<std::pair<std::string, std::string>>& members);

} // namespace tidemark::job
