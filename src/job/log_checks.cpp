#include "job/log_checks.h"

#include "base/error.h"
#include "job/chain_gap.h"
#include "job/member_history.h"
#include "repo/identities.h"
#include "repo/log_reader.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using engine::Check;
using engine::CheckState;
using model::Offset;

namespace {

/// Of the newest pieces' indexes; older ones were looked at by earlier checks.
constexpr std::size_t kIndexes = 500;
constexpr std::chrono::hours kToldFor{7 * 24};

/// Why the server that answers is not the one that was backed up so far.
std::optional<Check> check_identity(const repo::MemberView& stored, engine::Session& session)
{
    if (stored.identities.empty()) return std::nullopt;
    try {
        repo::check_identity(stored.identities.front().value, session.identify());
    } catch (const base::Error& error) {
        if (error.code() != base::Code::identity_mismatch) throw;
        return Check{.name = "identity",
                     .state = CheckState::failed,
                     .cause = error.what(),
                     .fix = error.hint()};
    }
    return std::nullopt;
}

/// A run that had begun a new chain died before its base backup.
void check_chain(const repo::MemberView& stored, const model::History& history,
                 std::vector<Check>& out)
{
    auto gap = announced_gap(stored);
    if (!gap) gap = unhealed_gap(stored, history); // it came as far as storing log
    if (!gap) return;
    out.push_back(
        {.name = "chain",
         .state = CheckState::failed,
         .cause = fmt::format("log from {} to {} was never stored, and no base backup "
                              "begins behind it yet",
                              model::format_position(gap->from), model::format_position(gap->to)),
         .fix = "tidemark run, or tidemark backup, ends it with a full backup"});
}

/// A slot that stands beyond what is stored was confirmed by somebody who is not us.
void check_slot_position(store::Storage& storage, const repo::MemberView& stored,
                         const model::History& history, engine::Session& session,
                         std::vector<Check>& out)
{
    auto slot = session.slot();
    if (stored.identities.empty()) return;
    const auto& recorded = stored.identities.front().value;
    auto gap = slot_gap(storage, stored, history, recorded.identity.log_segment_size, slot);
    if (!gap || gap->to.offset <= recorded.log_start.offset) return;
    out.push_back({.name = "slot_position",
                   .state = CheckState::failed,
                   .cause = fmt::format("the slot stands at {}, but log is stored up to {} only: "
                                        "another consumer has moved it",
                                        model::format_offset(*slot.restart),
                                        model::format_offset(gap->from.offset)),
                   .fix = "find who reads our slot (pg_receivewal, another tidemark with the same "
                          "group name, primary_slot_name); then tidemark backup begins a new "
                          "chain"});
}

/// Stored log that a history has left behind.
struct LostTail {
    model::Epoch epoch = 0;
    Offset left_at = 0;
    Offset end = 0;         ///< of what is stored
    model::Epoch child = 0; ///< which goes on instead
};

model::Epoch child_of(const model::History& history, std::size_t ancestor)
{
    const auto& steps = history.ancestors();
    return ancestor + 1 < steps.size() ? steps[ancestor + 1].epoch : history.current();
}

/// Newest first.
std::vector<LostTail> lost_tails(const repo::MemberView& stored, const model::History& history)
{
    std::vector<LostTail> out;
    for (std::size_t i = 0; i < history.ancestors().size(); ++i) {
        const auto& step = history.ancestors()[i];
        Offset end = 0;
        for (const auto& piece : stored.log.pieces)
            if (piece.range.epoch == step.epoch) end = std::max(end, piece.range.to);
        if (end > step.left_at)
            out.insert(out.begin(), {.epoch = step.epoch,
                                     .left_at = step.left_at,
                                     .end = end,
                                     .child = child_of(history, i)});
    }
    return out;
}

/// Was a transaction committed or prepared there? Also where that cannot be read. Our own flushes
/// are not counted as commits, but stand among the times: these tell only where a piece begins
/// before the switch.
bool holds_work(store::Storage& storage, const repo::MemberView& stored, const LostTail& tail)
{
    repo::LogReader reader(storage, stored.log);
    auto lost = [&](const auto& each) { return each.start >= tail.left_at; };
    std::size_t read = 0;
    for (const auto& piece : stored.log.pieces) {
        if (piece.range.epoch != tail.epoch || piece.range.to <= tail.left_at) continue;
        if (!piece.indexed || ++read > kIndexes) return true;
        try {
            auto index = reader.index(piece, {});
            bool ended = piece.range.from >= tail.left_at ? index.commits > 0
                                                          : std::ranges::any_of(index.times, lost);
            if (ended || std::ranges::any_of(index.transactions, lost) || !index.unread.empty())
                return true;
        } catch (const base::Error&) {
            return true;
        }
    }
    return false;
}

/// As far as the repository knows: those that its newest log lies behind.
std::vector<LostTail> known_tails(const repo::MemberView& stored)
{
    if (stored.log.pieces.empty()) return {};
    auto history = stored.histories.find(stored.log.pieces.back().range.epoch);
    return history == stored.histories.end() ? std::vector<LostTail>{}
                                             : lost_tails(stored, history->second);
}

bool has_left(const model::History& history, const LostTail& tail)
{
    for (std::size_t i = 0; i < history.ancestors().size(); ++i) {
        const auto& step = history.ancestors()[i];
        if (step.epoch == tail.epoch && step.left_at == tail.left_at &&
            child_of(history, i) == tail.child)
            return true;
    }
    return false;
}

const model::MarkMember* line_of(const repo::StoredMark& mark, const repo::MemberView& member)
{
    auto found =
        std::ranges::find(mark.value.members, member.log.id.member, &model::MarkMember::name);
    return found == mark.value.members.end() ? nullptr : &*found;
}

/// All other members left a tail, too, and no mark lies between their switch and this one: the
/// group was restored, and goes on as one.
bool was_common(const LostTail& tail, const repo::MemberView& stored, const OtherMembers& others,
                const std::vector<repo::StoredMark>& marks)
{
    auto known = [&](const LostTail& each) {
        return each.epoch == tail.epoch && each.left_at == tail.left_at && each.child == tail.child;
    };
    if (others.empty() || std::ranges::none_of(known_tails(stored), known)) return false;
    return std::ranges::all_of(others, [&](const repo::MemberView* other) {
        return std::ranges::any_of(known_tails(*other), [&](const LostTail& theirs) {
            return std::ranges::none_of(marks, [&](const repo::StoredMark& mark) {
                const auto* here = line_of(mark, stored);
                const auto* there = line_of(mark, *other);
                return here != nullptr && there != nullptr &&
                       has_left(here->history, tail) != has_left(there->history, theirs);
            });
        });
    });
}

/// A full backup behind it is of the state that is there now, so somebody has accepted that. But
/// the job takes one by itself where the slot did not come along, as after every restore: only one
/// that has stood for a while counts.
bool was_accepted(const repo::MemberView& stored, const model::History& history,
                  const LostTail& tail, base::Time now)
{
    return std::ranges::any_of(stored.backups, [&](const repo::StoredManifest& backup) {
        const auto& start = backup.value.start;
        return start.epoch > tail.epoch && history.contains(start) &&
               now - backup.value.started >= kToldFor;
    });
}

/// A failover that lost a tail, or one member restored without the others.
void check_lost_tail(store::Storage& storage, const repo::MemberView& stored,
                     const OtherMembers& others, const std::vector<repo::StoredMark>& marks,
                     const model::History& history, engine::Session& session,
                     std::vector<Check>& out)
{
    const auto tails = lost_tails(stored, history);
    if (tails.empty()) return;
    const auto now = session.clock();
    // A group of one is whole however it went back; but of a failover somebody may not know.
    const bool single = others.empty();
    auto restored = [&](const LostTail& each) {
        return single && std::ranges::count(stored.log.claims, each.child) > 0;
    };
    auto tail = std::ranges::find_if(tails, [&](const LostTail& each) {
        return !was_accepted(stored, history, each, now) && !restored(each) &&
               !was_common(each, stored, others, marks) && holds_work(storage, stored, each);
    });
    if (tail == tails.end()) return;
    out.push_back(
        {.name = "went_back",
         .state = CheckState::waiting,
         .cause = fmt::format("the server is on timeline {}, which leaves timeline {} at {}, "
                              "before the end of the stored log at {}: a failover lost the "
                              "transactions in between, or {}",
                              history.current(), tail->epoch, model::format_offset(tail->left_at),
                              model::format_offset(tail->end),
                              single ? "the server was put back by other means than tidemark"
                                     : "this member was restored alone"),
         .fix =
             single
                 ? "when nobody put it back on purpose, look for what was lost on the old "
                   "server. Said until a full backup behind it is a week old"
                 : "the other members may hold parts of what it lost: tidemark status lists the "
                   "transactions that are half there; after a restore of one member, restore the "
                   "group to one mark. Said until a full backup behind it is a week old"});
}

void check_wal_level(store::Storage& storage, const repo::MemberView& stored,
                     std::vector<Check>& out)
{
    repo::LogReader reader(storage, stored.log);
    const auto& pieces = stored.log.pieces;
    auto from = pieces.size() > kIndexes ? pieces.size() - kIndexes : 0;
    Offset since = stored.backups.empty() ? 0 : stored.backups.front().value.start.offset;
    for (auto i = from; i < pieces.size(); ++i) {
        if (!pieces[i].indexed || pieces[i].range.to <= since) continue;
        model::LogIndex index;
        try {
            index = reader.index(pieces[i], {});
        } catch (const base::Error&) {
            continue; // verify tells
        }
        for (const auto& notice : index.notices) {
            if (notice.kind != model::LogNoticeKind::wal_level_minimal || notice.start < since)
                continue;
            out.push_back({.name = "wal_level_lowered",
                           .state = CheckState::failed,
                           .cause = fmt::format("since the newest base backup wal_level was "
                                                "minimal, from {} on: that log cannot be replayed",
                                                model::format_offset(notice.start)),
                           .fix = "tidemark backup begins anew; leave wal_level at replica"});
            return;
        }
    }
}

} // namespace

bool went_back(const repo::MemberView& stored)
{
    return !known_tails(stored).empty();
}

std::vector<Check> check_stored_log(store::Storage& storage, const repo::MemberView& stored,
                                    engine::Session& session, std::vector<Check> out,
                                    const OtherMembers& others,
                                    const std::vector<repo::StoredMark>& marks)
{
    if (auto other = check_identity(stored, session)) return {*other};
    auto history = server_history(session, session.insert_position().epoch);
    check_chain(stored, history, out);
    check_slot_position(storage, stored, history, session, out);
    check_lost_tail(storage, stored, others, marks, history, session, out);
    check_wal_level(storage, stored, out);
    return out;
}

} // namespace tidemark::job
