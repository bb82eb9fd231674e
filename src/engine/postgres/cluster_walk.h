#pragma once

#include "base/fd.h"
#include "model/file_entry.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// A file of a data directory or of one of its tablespaces, found by name.
struct WalkedFile {
    model::FileEntry entry;   ///< index is not set yet
    std::uint32_t root = 0;   ///< which of Walk::roots holds it
    std::uint32_t prefix = 0; ///< length of entry.path that leads to that root
    std::string path_in_root() const { return entry.path.substr(prefix); }
};

/// What of a running server's data directory belongs to a base backup (backup_rules.h), without
/// following links except those of the tablespaces. pg_control is not among the files: it is read
/// last.
struct Walk {
    std::vector<base::Fd> roots; ///< the data directory, then the tablespaces' folders
    std::vector<WalkedFile> files;
    std::vector<model::FileEntry> folders; ///< directories and tablespace links, parents first
    std::uint64_t bytes = 0;
};

/// `version_folder` is the folder of a tablespace that is this server's: "PG_15_202209061". Files
/// that vanish meanwhile are left out. Errors: failed (cannot be read), member_not_ready (a folder
/// that matters is a link, which no base backup of PostgreSQL follows).
Walk walk_cluster(const std::filesystem::path& data_dir, const std::string& version_folder);

/// Opens a walked file for reading, never through a link; invalid when it is gone.
base::Fd open_walked(const base::Fd& root, const std::string& path);

} // namespace tidemark::engine::postgres
