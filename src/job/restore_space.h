#pragma once

#include "repo/backups.h"
#include "repo/restore_plan.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tidemark::job {

/// For each member: log segments in flight and the server's own files.
inline constexpr std::uint64_t kHeadroom = 256ULL << 20;

/// What the log can add to the files of a member's backup. Its bytes: nothing grows by more than is
/// written about it (but for copies of whole databases and empty pages, of which the log tells in a
/// few words). And the log itself, of which PostgreSQL keeps what it replayed since its last
/// restart point, about its max_wal_size.
std::uint64_t room_for_log(const repo::MemberPlan& member);

/// What a target must have: at least the files of the backups, at most what the log makes of them.
struct PlanRoom {
    std::uint64_t least = 0;
    std::uint64_t most = 0;
};
PlanRoom room_of(const repo::RestorePlan& plan);

/// What a restore will put into one folder, which need not exist yet.
struct SpaceNeed {
    std::filesystem::path where;
    std::uint64_t bytes = 0;
    std::string member;
    /// What the log may add, here or in another folder of this member.
    std::uint64_t log = 0;
};

/// Error{out_of_space} unless each file system has room for all that goes there, whichever members
/// it is of. Folders on one file system share what is free. Returns warnings of those that have no
/// room for what the log may add.
std::vector<std::string> require_room(const std::vector<SpaceNeed>& needs);

/// How long the files of each tablespace are, by oid, from the backup's page map. Error
/// {not_restorable}.
std::map<std::uint32_t, std::uint64_t> tablespace_sizes(store::Storage& storage,
                                                        const repo::StoredManifest& backup);

} // namespace tidemark::job
