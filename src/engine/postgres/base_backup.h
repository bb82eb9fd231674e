#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"

#include <memory>

namespace tidemark::engine::postgres {

/// Starts a base backup on a session of its own and returns when its start position is known:
/// from a standby where `backup_from` is given, from the files of this host where `data_dir` is,
/// over the wire otherwise. When the standby cannot be had, the primary's are taken and begin()
/// says so.
/// Errors: member_unreachable, member_not_ready, identity_mismatch.
std::unique_ptr<BackupSource> begin_postgres_backup(const MemberConfig& member,
                                                    const BackupOptions& options);

} // namespace tidemark::engine::postgres
