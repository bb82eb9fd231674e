#pragma once

#include "engine/postgres/recovery_config.h"
#include "engine/postgres/server_process.h"
#include "engine/postgres/target_folder.h"

#include <stop_token>

namespace tidemark::engine::postgres {

/// Starts a stopped server once under the configuration `plain` that it will be handed over with,
/// and stops it again. Its only socket is that of `setup`, and nothing of it acts on the world: no
/// TCP, no archiving, no background workers (so none of preloaded libraries), no subscriptions.
/// Error{member_not_ready} with the server's own words when it does not start. `work` gets the
/// configuration file and the log, trial.log.
void try_configuration(const ServerLaunch& plain, const TargetFolder& work,
                       const ServerSetup& setup, std::stop_token stop);

} // namespace tidemark::engine::postgres
