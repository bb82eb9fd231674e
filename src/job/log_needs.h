#pragma once

#include "repo/log_reader.h"
#include "repo/restore_plan.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tidemark::job {

struct CreatedTablespace {
    std::uint32_t oid = 0;
    std::string location;    ///< in production
    model::Offset start = 0; ///< of the record
};

/// What the log that a plan replays asks of the server that replays it, from the indexes of the
/// stored log.
struct LogNeeds {
    /// Custom resource managers, by their numbers, of which it holds records: replay needs the
    /// library that registers each.
    std::set<std::string> extension_managers;
    /// The largest values that the settings had with which replay needs to have as much room, by
    /// name; settings that never changed are absent.
    std::map<std::string, std::uint64_t> limits;
    /// Created behind the base backup, in the log's order: their replay as it stands would use
    /// production's own folders where they are on this host (rules.md 29).
    std::vector<CreatedTablespace> tablespaces;
    std::vector<std::string> warnings;
};
/// Where an index is missing or unsound, `rebuild` makes it again, for this time; what that cannot
/// do is warned of.
LogNeeds log_needs(store::Storage& storage, const model::MemberId& id, const repo::MemberPlan& plan,
                   const repo::RebuildIndex& rebuild);

/// Raises `settings` to `limits`. A value that is no number counts as none.
void raise_settings(std::map<std::string, std::string>& settings,
                    const std::map<std::string, std::uint64_t>& limits);

} // namespace tidemark::job
