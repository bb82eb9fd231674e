#pragma once

#include "job/context.h"
#include "model/member_identity.h"

#include <string>
#include <vector>

namespace tidemark::job {

struct InitOptions {
    bool unbounded = false; ///< create slots although max_slot_wal_keep_size is -1
    /// The members join a group that is at work already.
    bool late = false;
};

struct InitOutcome {
    struct Member {
        std::string name;
        model::Identity identity;
        bool slot_created = false;
        bool recorded = false; ///< false: it was known already
        std::size_t seeds = 0; ///< transactions prepared before our log begins
    };
    std::vector<Member> members;
};

/// Creates the slots that are missing and records each member's identity, log start and the
/// transactions already prepared (rules.md 6). What is there already stays. Errors:
/// member_unreachable, member_not_ready, identity_mismatch.
InitOutcome initialise(const Context& context, const InitOptions& options);

/// Transactions listed before or after something; those no longer listed the second time are
/// `gone`.
std::vector<model::Seed> seeds_of(const std::vector<model::PreparedBranch>& before,
                                  const std::vector<model::PreparedBranch>& after);

/// Makes a member's slot anew and records a new chain of log: what lies between the old chain and
/// this one is a gap. The caller holds the lease "log".
model::MemberIdentity begin_chain(const Context& context, const model::MemberSpec& member,
                                  engine::Session& session, const repo::Lease& lease,
                                  const std::string& reason);

} // namespace tidemark::job
