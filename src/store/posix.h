#pragma once

#include "store/storage.h"

#include <filesystem>
#include <memory>

#include <sys/types.h>

namespace tidemark::store {

/// Whether what was written is read again, past the caches, and compared before it counts.
enum class ReadBack {
    where_needed, ///< on file systems of which needs_read_back() is true
    always,
};

struct DirectoryOptions {
    bool create = false; ///< make the directory, and its parents, when it is missing
    mode_t file_mode = 0600;
    mode_t folder_mode = 0700;
    ReadBack read_back = ReadBack::where_needed;
};

/// Objects as files below `root` (rules.md 30). Written under a temporary name in `.tmp~` (no key
/// can be called so), synced, then linked to the final name, which fails when it exists; folders
/// are synced too. Symbolic links below `root` are never followed, foreign files are never listed.
/// As root, new files get the owner of `root`. Leftovers of dead writers older than a day are
/// removed at opening. On network file systems the bytes are read back and hashed before the link.
///
/// now() is the mtime that the file system gives to a file touched for the purpose, so that all
/// hosts that share the directory over a network see one clock; between samples (10 s) it goes on
/// by our monotonic clock. Where we may not write it is our own clock.
///
/// Errors: Error{repository_unreachable} when the directory is missing, unmounted, read-only or
/// forbidden; Error{out_of_space}. After either nothing half-written is visible.
std::unique_ptr<Storage> open_directory(const std::filesystem::path& root,
                                        const DirectoryOptions& options = {});

} // namespace tidemark::store
