#pragma once

#include "job/restore.h"
#include "model/joint_restore.h"

#include <map>
#include <string>
#include <vector>

/// A restore whose members lie on several hosts (model/joint_restore.h): each host brings its
/// members to the mark, and opens them when all stand there.
namespace tidemark::job {

struct JointOptions {
    bool newest = false;  ///< the mark was not named, it is the newest
    bool instead = false; ///< this copy stands for the member that another host reported
    std::string program;  ///< version, for the reports
};

struct JointOutcome {
    RestoreReport report;
    model::JointRestore restore; ///< after it
    bool is_last = false;        ///< with it all members of the group are open
};

/// Phase 1 for the plan's members, which are not all of the group: they stop at the mark, closed,
/// and the book says so. Goes on with what an earlier call began. Error{usage} when the book knows
/// another restore or another copy, see model::enlist.
JointOutcome restore_to_mark(const Context& context, const repo::RestorePlan& plan,
                             RestoreOptions options, const JointOptions& joint);

/// Phase 2 for the plan's members, after require_all_there(). Operators' decisions of this host and
/// of those before it apply alike; what is open already is opened once more to settle by them.
JointOutcome open_members(const Context& context, const repo::RestorePlan& plan,
                          RestoreOptions options, const JointOptions& joint);

/// As reported in the book: what all hosts together have shown. For the proof.
RestoreReport joint_report(const model::JointRestore& restore, const repo::StoredMark& mark,
                           const RestoreReport& last);

} // namespace tidemark::job
