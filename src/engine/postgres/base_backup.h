#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"

#include <memory>

namespace tidemark::engine::postgres {

/// Starts a base backup on a session of its own and returns when its start position is known:
/// from the files of this host where `data_dir` is given, over the wire otherwise.
/// Errors: member_unreachable, member_not_ready, identity_mismatch.
std::unique_ptr<BackupSource> begin_postgres_backup(const MemberConfig& member,
                                                    const BackupOptions& options);

} // namespace tidemark::engine::postgres
