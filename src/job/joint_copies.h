#pragma once

#include "job/restore.h"
#include "model/joint_restore.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The copies that this host has made for restores over several hosts (joint_restore.h), and what
/// the group's book says of them.
namespace tidemark::job {

/// The state of such a copy in a folder; empty when there is none.
std::optional<RestoreState> joint_state(const std::filesystem::path& folder);

/// The members of restores over several hosts that lie in the places of `options`: DIR/MEMBER of
/// every folder there, and the mapped ones. With `only`, these.
std::map<std::string, RestoreState> joint_members(const RestoreOptions& options,
                                                  const std::vector<std::string>& only);

/// May these copies be opened? Error{member_not_ready} names the members that are missing, where
/// they were last seen, and what to say there; Error{usage} when a copy does not count any more.
model::JointRestore require_all_there(const Context& context,
                                      const std::map<std::string, RestoreState>& here);

/// Catches up on copies that were handed over by a call that died before it could say so.
model::JointRestore confirm_opened(const Context& context,
                                   const std::map<std::string, RestoreState>& here);

/// Transactions that the copies here keep prepared, and those of them about which an operator has
/// decided by now, on this host or another.
struct KeptHere {
    std::size_t kept = 0;
    std::size_t decided = 0;
};
KeptHere kept_here(const std::map<std::string, RestoreState>& here, const RestoreOptions& options,
                   const model::JointRestore& restore);

/// Takes the reports of these copies back, before they are removed; a restore without any is ended.
void withdraw_members(const Context& context, const std::map<std::string, RestoreState>& here);

/// The same for copies here that a restore by this plan replaces (`force`): of other marks, or
/// handed over.
void withdraw_replaced(const Context& context, const repo::RestorePlan& plan,
                       const RestoreOptions& options);

} // namespace tidemark::job
