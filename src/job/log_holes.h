#pragma once

#include "engine/engine.h"
#include "job/group_log.h"
#include "model/cut.h"

#include <optional>
#include <vector>

namespace tidemark::job {

/// Log of the group's members below a mark that its proof wants and cannot have: nobody can read
/// it, or it is no longer stored. One is like a gap of the chain: what came before it is no longer
/// known, so what is prepared is asked for, before b. It is found only after that, so the mark is
/// tried once more.
class LogHoles {
public:
    explicit LogHoles(std::size_t members) : found_(members), prepared_(members) {}

    /// Asks the member when the try before found holes in its log.
    void list_prepared(std::size_t i, engine::Session& session);
    /// Takes what the proof wants of one member's log, whose events are in `member`.
    /// Error{mark_not_placed} for a hole that reaches the mark itself and hides what the cut needs.
    void take(std::size_t i, const Placement::Member& placed, model::CutMember& member,
              const std::vector<model::UnreadLog>& holes);
    /// The first member whose prepared transactions were not listed though its log has holes.
    std::optional<std::size_t> unlisted() const;
    const std::vector<model::UnreadLog>& of(std::size_t i) const { return found_[i]; }

private:
    std::vector<std::vector<model::UnreadLog>> found_; ///< by member
    std::vector<std::optional<std::vector<model::Seed>>> prepared_;
};

/// What lies between the end of what is known of a member's log (of `previous`, or the beginning of
/// its chain when that was recorded) and what is stored of it now.
std::vector<model::UnreadLog> gone_log(const model::MemberIdentity& recorded,
                                       const model::OpenTransactions* previous,
                                       const model::CutMember& member);

} // namespace tidemark::job
