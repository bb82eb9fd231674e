#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// Every server that a member's urls name, in their order.
std::vector<ServerUrl> servers_of(const MemberConfig& member);

/// The server that a member is now.
struct Reached {
    Connection sql;
    ServerUrl server;              ///< for further connections: they shall not land elsewhere
    std::vector<ServerUrl> others; ///< the rest of servers_of()
};

/// Connects to the one server that the urls name, whatever it is; of several, to the one that
/// accepts writes. They are asked all at once; when one has been found, the others have a second to
/// say that they accept writes, too: after a failover the old primary may be back, and then the
/// server on the newer timeline is the member. Errors: as Connection::open(); member_not_ready
/// (transient) when none accepts writes; identity_mismatch when servers of several clusters answer,
/// or two accept writes on one timeline.
Reached reach_member(const MemberConfig& member, const ConnectOptions& options);

/// `data_dir` is what this primary runs on: not a standby's, an old primary's or a copy. Never
/// throws for what cannot be read: then it is not.
bool runs_on(Connection& sql, const std::filesystem::path& data_dir);

} // namespace tidemark::engine::postgres
