#pragma once

#include "engine/postgres/preflight.h"
#include "engine/postgres/server_process.h"
#include "engine/postgres/target_folder.h"

namespace tidemark::engine::postgres {

/// Starts a stopped server as its users do, with pg_ctl, to stay when we end; `data` is its data
/// directory. Returns where it answers. Error{failed} with the server's own words when it does not
/// start.
PidFile start_plainly(const ServerLaunch& launch, const TargetFolder& data);

} // namespace tidemark::engine::postgres
