#pragma once

#include "engine/postgres/pq.h"
#include "model/log_position.h"

#include <optional>
#include <string>

/// Commands of a replication connection (PostgreSQL docs, "Streaming Replication Protocol").
namespace tidemark::engine::postgres {

struct SystemIdentity {
    std::string system_id;
    model::LogPosition flushed; ///< timeline, and how far its log can be streamed
};
SystemIdentity identify_system(Connection& replication);

/// The history file of `epoch` as the server has it; absent for epoch 1 or when it has none.
std::optional<std::string> timeline_history(Connection& replication, model::Epoch epoch);

/// History of `epoch` as this server tells it.
model::History server_history(Connection& replication, model::Epoch epoch);

/// restart_lsn of a physical slot; absent when the slot is gone or lost. Server 15 or newer.
std::optional<model::Offset> read_replication_slot(Connection& replication,
                                                   const std::string& slot);

} // namespace tidemark::engine::postgres
