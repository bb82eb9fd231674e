#pragma once

#include "job/context.h"
#include "model/retention.h"
#include "repo/tombstones.h"
#include "repo/view.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::job {

struct SurveyOptions {
    model::RetentionPolicy policy;
    base::Duration grace{};              ///< leftovers of dead backups younger than this stay
    std::set<model::Number> proven = {}; ///< marks that a drill or a restore brought up
    /// By drill the mark it proves: of each mark the newest, and the newest of all (0: a moment).
    std::map<model::Number, model::Number> proofs = {};
};

/// What a group's repository holds and what of it stays, as of one look.
struct Survey {
    std::map<std::string, store::ObjectInfo> objects; ///< everything below the group's prefix
    repo::RepositoryView view;
    std::vector<repo::StoredTombstone> tombstones; ///< newest first
    model::RetentionPlan plan;
    repo::Unreadable lost_holds;      ///< the newest holds: while these are damaged nothing goes
    repo::Unreadable lost_restores;   ///< the same of the newest book of restores
    std::vector<std::string> commits; ///< keys of commit objects that go, in this order
    std::vector<std::string> data;    ///< keys of data that go after them
    std::uint64_t bytes = 0;          ///< stored bytes of all of these
};

/// Reads, decides; changes nothing.
Survey survey(const Context& context, const SurveyOptions& options);

/// Where the member's log ends that sets name: in the newest that names the member, for one that
/// left is in no later one.
std::optional<model::LogPosition> settled_log(const repo::RepositoryView& view,
                                              const std::string& member);

/// Whether the tombstone speaks of the object that lies there now, and not of an earlier one of
/// that name: backups of a member that left and came back are counted from 1 again.
bool is_meant(const Survey& survey, const repo::StoredTombstone& tombstone, const std::string& key);

/// The tombstone for what the survey lets go and no earlier one names; nothing when that is empty.
std::optional<model::Tombstone> next_tombstone(const Survey& survey, const std::string& group,
                                               base::Time now);

} // namespace tidemark::job
