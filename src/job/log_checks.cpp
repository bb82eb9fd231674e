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

/// Stored log that the server's history has left behind: a failover that lost a tail, or one member
/// restored without the others.
void check_lost_tail(const repo::MemberView& stored, const model::History& history,
                     std::vector<Check>& out)
{
    if (stored.log.pieces.empty()) return;
    auto newest = stored.log.pieces.back().range.epoch;
    for (const auto& step : history.ancestors()) {
        if (step.epoch != newest) continue;
        Offset end = 0;
        for (const auto& piece : stored.log.pieces) {
            if (piece.range.epoch == newest) end = std::max(end, piece.range.to);
        }
        if (end <= step.left_at) return;
        out.push_back(
            {.name = "went_back",
             .state = CheckState::waiting,
             .cause = fmt::format("the server is on timeline {}, which leaves timeline {} at {}, "
                                  "before the end of the stored log at {}: a failover that lost "
                                  "its tail, or this member was restored alone",
                                  history.current(), newest, model::format_offset(step.left_at),
                                  model::format_offset(end)),
             .fix = "the other members may hold parts of what it lost: the next mark lists lost "
                    "prepares; after a restore of one member, restore the group to one mark"});
        return;
    }
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

std::vector<Check> check_stored_log(store::Storage& storage, const repo::MemberView& stored,
                                    engine::Session& session, std::vector<Check> out)
{
    if (auto other = check_identity(stored, session)) return {*other};
    auto history = server_history(session, session.insert_position().epoch);
    check_chain(stored, history, out);
    check_slot_position(storage, stored, history, session, out);
    check_lost_tail(stored, history, out);
    check_wal_level(storage, stored, out);
    return out;
}

} // namespace tidemark::job
