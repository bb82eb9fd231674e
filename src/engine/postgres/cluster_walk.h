#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "model/file_entry.h"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres {

/// A file of a data directory or of one of its tablespaces, found by name. There may be millions:
/// the folder is not written out for each.
struct WalkedFile {
    std::string name;
    std::uint32_t listing = 0; ///< in Walk::listings
    std::uint32_t index = 0;   ///< within the backup; not set by the walk
    std::uint32_t mode = 0;
    base::Time modified;
    std::uint64_t size = 0;
};

/// Why a system call on something in a data directory failed: member_not_ready where we may not do
/// it, else failed.
base::Error unreadable(std::string_view doing, const std::filesystem::path& path, int why);

/// What of a running server's data directory belongs to a base backup (backup_rules.h), without
/// following links except those of the tablespaces. pg_control is not among the files: it is read
/// last.
struct Walk {
    /// One folder that holds files.
    struct Listing {
        std::string path;         ///< in the backup; empty for the data directory
        std::uint32_t root = 0;   ///< which of `roots` holds it
        std::uint32_t prefix = 0; ///< length of a path here that leads to that root
    };
    std::filesystem::path data_dir; ///< for messages
    std::vector<base::Fd> roots;    ///< the data directory, then the tablespaces' folders
    std::deque<Listing> listings;
    std::deque<WalkedFile> files;
    std::vector<model::FileEntry> folders; ///< directories and tablespace links, parents first
    std::uint64_t bytes = 0;

    /// As in FileEntry.
    std::string path(const WalkedFile& file) const;
    model::FileEntry entry(const WalkedFile& file) const;
    /// Opens it for reading, never through a link; invalid when it is gone.
    base::Fd open(const WalkedFile& file) const;
};

/// `version_folder` is the folder of a tablespace that is this server's: "PG_15_202209061". Files
/// that vanish meanwhile are left out. Errors: as unreadable(), and member_not_ready when a folder
/// that matters is a link, which no base backup of PostgreSQL follows.
Walk walk_cluster(const std::filesystem::path& data_dir, const std::string& version_folder);

} // namespace tidemark::engine::postgres
