#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"

#include <memory>

namespace tidemark::engine::postgres {

/// A base backup that reads the server's files on this host. Errors: identity_mismatch when
/// `data_dir` is not the directory that the server at `url` runs on.
std::unique_ptr<BackupSource> begin_local_backup(const MemberConfig& member,
                                                 const BackupOptions& options);

} // namespace tidemark::engine::postgres
