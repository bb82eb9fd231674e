#pragma once

#include "base/subprocess.h"
#include "job/restore.h"

#include <filesystem>
#include <optional>
#include <string>

/// Whether the places that a restore writes into are fit for it, before anything is written.
namespace tidemark::job {

/// Error{usage} when --tablespace names a member that the group does not have, a tablespace that
/// the planned backup does not hold, or a relative path.
void check_tablespaces(const repo::RestorePlan& plan, const RestoreOptions& options);

/// Every member's folder and every tablespace, links resolved. Error{usage} when two of them share
/// a folder or one lies within another, or one lies in the repository or holds it;
/// Error{target_not_empty} when one lies within a data directory; Error{member_not_ready} when the
/// servers' user cannot go there, or we cannot write there, or it could run no program there and
/// may not run the installed one, which fetches log for it.
void check_places(const repo::RestorePlan& plan, const RestoreOptions& options);

/// Does the file system of this folder, or of the nearest one above it that is there, let programs
/// be run (mount option noexec)?
bool runs_programs(const std::filesystem::path& folder);

/// May the user go through this folder, or run this program? Asked of the system itself, which
/// knows access lists, too.
bool may_enter(const std::filesystem::path& folder, const base::User& user);

} // namespace tidemark::job
