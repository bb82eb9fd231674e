#pragma once

#include "base/fd.h"
#include "job/restore_state.h"

#include <filesystem>
#include <optional>
#include <vector>

/// Whose a target folder is. A restore removes nothing but what a restore wrote, whatever folder an
/// operator has named: DIR/MEMBER/data, .../tablespaces, .../tidemark and the tablespace folders
/// that the state file lists.
namespace tidemark::job {

/// Not there, empty, or holding only what a restore leaves that was killed before its first state.
/// Error{member_not_ready} where we may not look.
bool is_free(const std::filesystem::path& folder);
/// Holds a state file, readable or not.
bool holds_restore(const std::filesystem::path& folder);
/// The state of the restore in `folder`; empty as well when it cannot be understood.
std::optional<RestoreState> known_state(const std::filesystem::path& folder);

/// What remove_restore() would remove, in its order.
std::vector<std::filesystem::path> what_a_restore_left(const std::filesystem::path& folder);
/// Removes it; the state goes last and says `writing` from the start, so that a kill in between
/// leaves something that is still ours and is written anew. Returns what was there.
std::vector<std::filesystem::path> remove_restore(const std::filesystem::path& folder);
/// Removes what a tablespace holds ("PG_15_...") from `folder`, which may be a mount point.
void empty_tablespace(const std::filesystem::path& folder);

/// Only one process at a time works in a target; ends with the process. Error{lease_held}.
base::Fd lock_target(const std::filesystem::path& work_dir);

} // namespace tidemark::job
