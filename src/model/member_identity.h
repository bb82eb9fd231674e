#pragma once

#include "base/clock.h"
#include "model/identity.h"
#include "model/log_position.h"
#include "model/open_transactions.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::model {

/// The reason of a generation that says: from here on it belongs to the group no more.
inline constexpr std::string_view kMemberLeft = "left";

/// One generation of what the repository knows about a member: written at init, and again when a
/// new chain of log begins (a slot made anew, a failover that kept the identity). The newest wins.
struct MemberIdentity {
    std::string group;
    std::string member;
    Identity identity;
    std::string slot;
    LogPosition log_start; ///< first byte of the chain (rules.md 11)
    /// Prepared before or while the slot was made: their prepare may lie below log_start, and
    /// unless evidence turns up their verdict is unknown (rules.md 5 and 6).
    std::vector<Seed> seeds;
    /// Read on all members when every member's log was already being kept; the same at each of
    /// them. The first mark needs it (cut.h); empty on a member that joined later.
    std::vector<Sweep> anchor;
    std::optional<std::string> history; ///< the epoch's history file; absent on epoch 1
    base::Time recorded;
    std::string reason; ///< "init", "slot made anew", kMemberLeft, ...
    bool has_left() const { return reason == kMemberLeft; }
    friend bool operator==(const MemberIdentity&, const MemberIdentity&) = default;
};

} // namespace tidemark::model
