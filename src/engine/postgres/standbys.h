#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// What the primary knows that its standbys are compared with.
struct StandbyCare {
    std::vector<ServerUrl> servers;
    std::string slot;
    std::string system_id;
    bool bounded = true; ///< the primary's slot has a bound, so theirs shall have one
    StandbyOrder order;
};

/// Runs the order on every server at once; one entry each, in their order. Never throws for what
/// one of them does.
std::vector<Standby> care_for_standbys(const StandbyCare& care);

} // namespace tidemark::engine::postgres
