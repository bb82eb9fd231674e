#pragma once

#include "job/target_tree.h"
#include "repo/backups.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>

namespace tidemark::job {

struct RestoreFilesOptions {
    std::filesystem::path data_dir; ///< exists and is empty
    /// Where each tablespace goes; the folders exist and are empty.
    std::map<std::uint32_t, std::filesystem::path> tablespaces;
    std::optional<Owner> owner;
    std::uint32_t workers = 2;
};

struct RestoreFilesProgress {
    /// Bytes written so far, from several threads; they are not durable yet.
    std::function<void(std::uint64_t)> written;
    /// All are written, and are being made durable, which can take as long.
    std::function<void()> making_durable;
};

struct RestoredFiles {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0; ///< written; zeros that the backup left out are not counted
};

/// Writes the files of a base backup, in parallel, each frame checked before its bytes are used,
/// and makes them durable. Errors: not_restorable, out_of_space.
RestoredFiles restore_files(store::Storage& storage, const repo::StoredManifest& manifest,
                            const RestoreFilesOptions& options,
                            const RestoreFilesProgress& progress, std::stop_token stop);

} // namespace tidemark::job
