#pragma once

#include "job/context.h"
#include "model/log_events.h"
#include "model/mark.h"
#include "repo/view.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

/// What a moment keeps and drops at one member, for people to check.
struct MomentMember {
    std::string name;
    std::optional<model::TimePoint> last_kept;     ///< newest commit or abort inside the cut
    std::optional<model::TimePoint> first_dropped; ///< the first one outside
    /// Outside although they are not later than the moment: commit times step back, and what starts
    /// after a dropped commit is dropped with it.
    std::uint64_t dropped_earlier = 0;
    std::optional<model::ClockReading> clock; ///< of the next mark
};

struct Moment {
    /// With number 0 and no id until it is recorded. Its cut is the greatest consistent one at or
    /// before each member's first commit or abort later than the moment.
    model::Mark mark;
    std::string after;  ///< the mark whose table it goes on from; empty: from the start of the log
    std::string before; ///< the mark below whose bounds it lies
    std::vector<MomentMember> members;
};

/// The group at any moment that lies below the bounds of some later mark (rules.md 40), from the
/// stored logs alone. `view` holds all marks with their proofs. Error{point_not_reachable} says
/// why, and names the nearest marks.
Moment find_moment(const Context& context, const repo::RepositoryView& view, base::Time at);

/// Makes it a mark of the group like any other, under the lease "log"; the next mark to be placed
/// does not go on from it. Error{usage} when the name is taken.
repo::StoredMark record_moment(const Context& context, const Moment& moment,
                               const std::string& name);

/// A stretch of time in which every moment can be reached, its edges too: between marks that can be
/// restored, with no gap in any member's log between them. What the members' clocks leave open at
/// its edges does not belong to it, so between marks that are close together nothing may be left.
struct Window {
    base::Time from, to;
    bool empty() const { return from > to; }
    model::Number first = 0, last = 0; ///< its marks
};
/// Oldest first. Pure.
std::vector<Window> restore_windows(const repo::RepositoryView& view);

} // namespace tidemark::job
