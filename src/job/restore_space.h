#pragma once

#include "repo/backups.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tidemark::job {

/// What a restore will put into one folder, which need not exist yet.
struct SpaceNeed {
    std::filesystem::path where;
    std::uint64_t bytes = 0;
    std::string member;
};

/// Error{out_of_space} unless each file system has room for all that goes there, whichever members
/// it is of. Folders on one file system share what is free.
void require_room(const std::vector<SpaceNeed>& needs);

/// How long the files of each tablespace are, by oid, from the backup's page map. Error
/// {not_restorable}.
std::map<std::uint32_t, std::uint64_t> tablespace_sizes(store::Storage& storage,
                                                        const repo::StoredManifest& backup);

} // namespace tidemark::job
