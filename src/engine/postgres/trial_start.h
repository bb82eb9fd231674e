#pragma once

#include "engine/postgres/recovery_config.h"
#include "engine/postgres/server_process.h"
#include "engine/postgres/target_folder.h"

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

namespace tidemark::engine::postgres {

/// What a server complains of in its log from byte `from` on: the last lines that say why.
std::string complaints(std::string_view text, std::uint64_t from);

/// Starts a stopped server once under the configuration `plain` that it will be handed over with,
/// and stops it again. Its only socket is that of `setup`, and nothing of it acts on the world: no
/// TCP, no archiving, no background workers (so none of preloaded libraries), no subscriptions.
/// Error{member_not_ready} with the server's own words when it does not start. `work` gets the
/// configuration file and the log, trial.log.
void try_configuration(const ServerLaunch& plain, const TargetFolder& work,
                       const ServerSetup& setup, std::stop_token stop);

} // namespace tidemark::engine::postgres
