#pragma once

#include "job/group_log.h"
#include "repo/marks.h"

#include <optional>

/// Where the proof of a mark goes on from, now that the members' logs were followed.
namespace tidemark::job {

/// The newest mark that saw nothing which is no longer so: what ended on a tail that a mark saw,
/// and a failover or a restore abandoned, is open again, and that mark has forgotten it. An older
/// one that retention is about to remove is passed over.
std::optional<repo::StoredMark> mark_before(const Context& context, const GroupLog& log);

/// Without such a mark: the sweeps of `init`. They order what came after them only on the log that
/// they saw, and as long as every member's log is the one that began then; empty otherwise.
std::vector<model::Sweep> first_sweeps(const Context& context, const GroupLog& log);

} // namespace tidemark::job
