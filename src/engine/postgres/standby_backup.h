#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"

#include <memory>

namespace tidemark::engine::postgres {

/// A base backup that a standby sends (`member.backup_from`), so that the primary at `member.url`
/// only makes a checkpoint. It begins at that checkpoint or later, on the primary's history, so the
/// log that our slot keeps covers it; it ends where the standby's files are consistent, and the
/// server itself refuses while full_page_writes is off at the primary. Errors: member_not_ready
/// when the standby is a primary or does not come up to the checkpoint, identity_mismatch when it
/// is another cluster or follows another history, member_unreachable.
std::unique_ptr<BackupSource> begin_standby_backup(const MemberConfig& member,
                                                   const BackupOptions& options);

} // namespace tidemark::engine::postgres
