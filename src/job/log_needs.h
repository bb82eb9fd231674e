#pragma once

#include "repo/restore_plan.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace tidemark::job {

/// What the log that a plan replays asks of the server that replays it. From the indexes of the
/// stored log; a piece without a sound one tells nothing.
struct LogNeeds {
    /// Custom resource managers, by their numbers, of which it holds records: replay needs the
    /// library that registers each.
    std::set<std::string> extension_managers;
    /// The largest values that the settings had with which replay needs to have as much room, by
    /// name; settings that never changed are absent.
    std::map<std::string, std::uint64_t> limits;
};
LogNeeds log_needs(store::Storage& storage, const model::MemberId& id,
                   const repo::MemberPlan& plan);

/// Raises `settings` to `limits`. A value that is no number counts as none.
void raise_settings(std::map<std::string, std::string>& settings,
                    const std::map<std::string, std::uint64_t>& limits);

} // namespace tidemark::job
