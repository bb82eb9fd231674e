#pragma once

#include "job/context.h"

#include <string>
#include <vector>

namespace tidemark::job {

/// One server that a member that leaves is known to have.
struct LeftServer {
    std::string member;
    std::string where; ///< "s0:5432"; "primary" where no name is known
    bool had_slot = false;
    std::size_t prepared = 0; ///< transactions that are prepared at the primary
    std::string problem;      ///< why its slot could not be dropped; empty when none is left there
    std::string fix;
    bool other_cluster = false; ///< than the one that is stored: nothing was dropped at its servers
};

/// What our slots are now at the servers of the group's members, standbys too.
std::vector<LeftServer> find_slots(const Context& context);

/// Drops our slots at all of them. A server that cannot be reached is told, never thrown; so is
/// another cluster than the one that is stored, whose slots stay. The caller holds the lease "log",
/// so that no other job makes them anew.
std::vector<LeftServer> drop_slots(const Context& context);

} // namespace tidemark::job
