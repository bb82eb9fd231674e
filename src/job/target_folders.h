#pragma once

#include "base/real_folder.h"
#include "job/target_tree.h"

#include <filesystem>
#include <optional>
#include <string>

/// The folders above what a restore writes. The server's user may be hostile and plant links and
/// folders wherever it can write, so what steers a restore (its state, our program's copy, the
/// generated configuration) lies in folders of ours that it may only enter (rules.md 29).
namespace tidemark::job {

/// Makes the last folder of a path without links, or takes the one that is there, and gives it
/// `mode` and `owner`; without an owner it is ours. One that is there must belong to that owner or
/// to us: Error{target_not_empty}. The folders above are made when missing.
base::Fd make_folder(const std::filesystem::path& path, const std::optional<Owner>& owner,
                     mode_t mode);
/// The same for a folder that was looked through and holds nothing but ours: whoever it belongs
/// to.
base::Fd take_folder(const std::filesystem::path& path, const std::optional<Owner>& owner,
                     mode_t mode);

/// Puts a copy of the program `from` into a folder of ours, for everybody to run.
void copy_program(const std::filesystem::path& from, const base::Fd& folder,
                  const std::string& name);

} // namespace tidemark::job
