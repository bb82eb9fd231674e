#pragma once

#include "job/context.h"
#include "model/member_identity.h"
#include "repo/lease.h"

#include <optional>
#include <string>
#include <vector>

/// Who belongs to a group: the repository knows, whatever one host's configuration names. A mark
/// without one of them would call transactions undecided that it has decided (rules.md 5).
namespace tidemark::job {

/// Members that the repository knows and that have not left.
std::vector<std::string> recorded_members(const Context& context);

/// Error{usage} when the configuration lacks one of `names` that has not left.
void refuse_missing(const Context& context, const std::vector<std::string>& names);
/// The same for the members of the newest mark, or, where there is none, for all that are recorded:
/// quick, and enough before each mark.
void refuse_missing(const Context& context);

/// Error{usage} when the newest generation says that it has left: another host's configuration may
/// still name it, and would make its slot anew.
void refuse_departed(const model::MemberIdentity& recorded);

/// Records that the configured members have left. Those of which nothing is recorded are passed
/// over. Under the lease `log`.
void record_departure(const Context& context, const repo::Lease& lease,
                      const std::vector<std::string>& members);

} // namespace tidemark::job
