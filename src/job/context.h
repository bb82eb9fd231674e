#pragma once

#include "base/clock.h"
#include "engine/engine.h"
#include "job/progress.h"
#include "model/cut.h"
#include "model/group.h"
#include "repo/lease.h"
#include "repo/repository.h"

#include <functional>
#include <stop_token>
#include <string>

namespace tidemark::job {

/// What every job works with. Values and references owned by the caller, who outlives the job.
struct Context {
    repo::Repository& repository;
    std::function<engine::Engine&(const model::MemberSpec&)> engine;
    const model::GroupSpec& group;
    Progress& progress;
    base::Clock& clock;
    std::stop_token stop;
    int compression_level = 2;
    std::uint32_t workers = 2; ///< threads per member
    std::string command;       ///< for leases and runs, "backup"
    std::string host;          ///< for runs
    base::Duration lease_ttl = std::chrono::seconds{60};
    /// A server that has more log and sends none for so long counts as gone.
    base::Duration silence = std::chrono::minutes{2};

    /// The same, telling somebody else what it is doing.
    Context telling(Progress& other) const;
    /// The same, about other members; `other` outlives it.
    Context for_group(const model::GroupSpec& other) const;
    store::Storage& storage() const { return repository.storage(); }
    repo::LeaseOwner owner() const { return repo::LeaseOwner::this_process(command); }
};

/// Name of our physical slot on every member of a group: "tidemark_<group>", '-' replaced.
/// PostgreSQL allows [a-z0-9_] and 63 bytes.
std::string slot_name(const std::string& group);

/// The engine's view of a configured member.
engine::MemberConfig member_config(const model::GroupSpec& group, const model::MemberSpec& member);

/// Of the members whose coordinators commit their own part in one phase.
std::vector<model::DecisionTable> decision_tables(const model::GroupSpec& group);

/// Connects to one member. Above zero, `within` bounds connecting and all calls until the session
/// is given another deadline.
std::unique_ptr<engine::Session> connect(const Context& context, const model::MemberSpec& member,
                                         base::Duration within = {});

} // namespace tidemark::job
