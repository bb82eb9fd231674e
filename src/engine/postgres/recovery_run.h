#pragma once

#include "engine/postgres/control_file.h"
#include "engine/postgres/recovery_log.h"
#include "engine/postgres/restored_server.h"
#include "engine/postgres/server_process.h"

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

namespace tidemark::engine::postgres {

/// How one run of a recovering server ended.
struct RecoveryRun {
    base::Exit exit;
    RecoveryLog log;
};

/// Phase 1: starts the server and follows its log until it ends. A stop ends the server cleanly
/// and is Error{cancelled}.
RecoveryRun run_recovery(ServerProcess& process, const std::filesystem::path& log_file,
                         std::uint32_t wal_segment_size,
                         const std::function<void(model::Offset)>& progress, std::stop_token stop);

/// Did it end exactly at the goal? Proved from the server's log and its control file; Error
/// otherwise.
Reached judge_recovery(const RecoveryRun& run, const RecoveryGoal& goal, const ControlFile& control,
                       const std::string& log_file);

/// Phase 2: starts the server and waits until it has opened its new timeline.
void promote_server(ServerProcess& process, const RestoredServer& server,
                    const std::filesystem::path& log_file, std::uint32_t wal_segment_size,
                    const RecoveryGoal& goal, std::stop_token stop);

/// Waits until a promoted server that was started again is open. Error{failed} with its words when
/// it ends instead.
void wait_for_promoted(ServerProcess& process, const RestoredServer& server,
                       const std::filesystem::path& log_file, std::stop_token stop);

/// The timeline on which the server writes now.
model::Epoch control_epoch(const RestoredServer& server);

} // namespace tidemark::engine::postgres
