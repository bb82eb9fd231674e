#include "job/log_holes.h"

#include "base/error.h"
#include "job/init.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

void LogHoles::list_prepared(std::size_t i, engine::Session& session)
{
    if (!found_[i].empty()) prepared_[i] = seeds_of({}, session.prepared());
}

void LogHoles::take(std::size_t i, const Placement::Member& placed, model::CutMember& member,
                    const std::vector<model::UnreadLog>& holes)
{
    auto& found = found_[i];
    found.clear();
    for (const auto& hole : holes) {
        if (hole.from >= placed.e) continue;
        if (hole.to > placed.b) {
            throw base::Error{
                base::Code::mark_not_placed,
                fmt::format("log of this member from {} to {} cannot be read, and the mark "
                            "needs it: {}",
                            model::format_offset(hole.from), model::format_offset(hole.to),
                            hole.why),
                {.hint = "the log is stored, nothing is lost; marks are possible again when the "
                         "log has passed into its next segment (SELECT pg_switch_wal()), or "
                         "after tidemark reindex by a newer program"}};
        }
        found.push_back(hole);
        member.log.complete_since = std::max(member.log.complete_since, hole.to);
    }
    if (found.empty() || !prepared_[i]) return;
    member.log.seeds = *prepared_[i];
    std::erase_if(member.log.seeds, [&](const model::Seed& seed) {
        return std::ranges::any_of(member.log.events, [&](const auto& event) {
            return event.kind == model::EventKind::prepare && event.xid == seed.xid &&
                   event.end > member.log.complete_since;
        });
    });
}

std::optional<std::size_t> LogHoles::unlisted() const
{
    for (std::size_t i = 0; i < found_.size(); ++i)
        if (!found_[i].empty() && !prepared_[i]) return i;
    return std::nullopt;
}

std::vector<model::UnreadLog> gone_log(const model::MemberIdentity& recorded,
                                       const model::OpenTransactions* previous,
                                       const model::CutMember& member)
{
    auto from = recorded.log_start.offset;
    if (previous != nullptr) {
        auto table = previous->members.find(member.log.name);
        if (table != previous->members.end()) from = std::max(from, table->second.e);
    }
    if (member.log.complete_since <= from) return {};
    return {{.from = from, .to = member.log.complete_since, .why = "it is no longer stored"}};
}

} // namespace tidemark::job
