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

/// Error{identity_mismatch} when the configuration lacks one of them.
void refuse_missing(const Context& context);

/// Error{identity_mismatch} when the newest generation says that it has left: another host's
/// configuration may still name it, and would make its slot anew.
void refuse_departed(const model::MemberIdentity& recorded);

/// Records that these members have left: now, or with the last mark that holds them. Those of which
/// nothing is recorded are passed over. Under the lease `log`.
void record_departure(const Context& context, const repo::Lease& lease,
                      const std::vector<std::string>& members);

} // namespace tidemark::job
