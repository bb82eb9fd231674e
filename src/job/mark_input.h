#pragma once

#include "job/context.h"
#include "model/cut.h"
#include "model/log_events.h"
#include "model/mark.h"
#include "model/member_identity.h"
#include "repo/marks.h"

#include <functional>
#include <optional>

namespace tidemark::job {

/// When a mark was placed: what it and the members' generations were written under tells more than
/// the clocks of the hosts that wrote them.
struct MarkPlace {
    base::Time created;
    std::optional<repo::LeaseStamp> lease = {}; ///< absent: the time alone counts
};
inline MarkPlace mark_place(const repo::StoredMark& mark)
{
    // A moment is recorded later than it lies.
    return {.created = mark.value.created,
            .lease = mark.value.is_moment() ? std::nullopt : mark.header.lease};
}

/// What was recorded about a member when a mark was placed. Error{not_restorable} when the
/// repository knows nothing of it.
model::MemberIdentity identity_at(const Context& context, const model::MemberId& id,
                                  const MarkPlace& place);

/// One member's part of a mark's proof, read again from the stored log's own bytes, whatever its
/// indexes say: events from the end of what `previous` knows (or the start of the chain) to the end
/// of the log that the mark needs. `visit` sees the index of each piece on the way, with every
/// commit and abort in `times`. `complete_since` says how far back the log is there; it is the end
/// of the mark's log where nothing of it is.
/// Error{log_gap} when a piece cannot be read without the one before it.
model::CutMember read_cut_member(const Context& context, const MarkPlace& place,
                                 const model::MarkMember& stored,
                                 const model::OpenTransactions* previous,
                                 const std::function<void(const model::LogIndex&)>& visit);

/// When all members are read: adds to their events what stood on tails that their histories have
/// left since.
void add_tails(const Context& context, const MarkPlace& place,
               const std::vector<model::MarkMember>& stored, model::CutInput& input);

} // namespace tidemark::job
