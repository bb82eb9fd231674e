#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"

#include <memory>

namespace tidemark::engine::postgres {

/// A base backup that the server sends by BASE_BACKUP on a replication connection.
std::unique_ptr<BackupSource> begin_wire_backup(const MemberConfig& member,
                                                const BackupOptions& options);

} // namespace tidemark::engine::postgres
