#include "job/member_history.h"

#include "base/error.h"
#include "repo/histories.h"
#include "repo/layout.h"
#include "repo/view.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>
#include <vector>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::Epoch;

namespace {

bool passes_through(const model::History& history, Epoch epoch)
{
    return epoch == history.current() ||
           std::ranges::any_of(history.ancestors(), [&](const model::History::Step& step) {
               return step.epoch == epoch;
           });
}

/// The file of an ancestor tells the first lines of its descendants' files.
bool is_same_past(const model::History& history, const model::History& ancestor)
{
    const auto& ours = history.ancestors();
    const auto& theirs = ancestor.ancestors();
    return theirs.size() < ours.size() && std::equal(theirs.begin(), theirs.end(), ours.begin());
}

void require_same_past(const model::History& history, const model::History& ancestor)
{
    if (is_same_past(history, ancestor)) return;
    throw_other_history(fmt::format("the server's timeline {} comes from another timeline {} than "
                                    "the one that is stored",
                                    history.current(), ancestor.current()));
}

/// A damaged file can be compared with nothing; the bytes of the log still are.
bool pass_over_damage(const Context& context, const model::MemberId& id, Epoch epoch)
{
    if (!repo::history_is_damaged(context.storage(), id, epoch)) return false;
    context.progress.warn(fmt::format(
        "{} is damaged; the server's own copy counts, and is stored in its place once the log is "
        "known to be the same",
        repo::history_key(id, epoch)));
    return true;
}

/// Does the repository hold anything of a timeline with this number that is not the server's? A
/// claim is nothing of the kind: it keeps restores apart, and production knows nothing of it.
bool is_used_otherwise(const Context& context, const model::MemberId& id,
                       const model::History& server, Epoch epoch)
{
    auto view = repo::load_view(context.storage(), id.group,
                                {.sets = repo::SetScope::none, .proofs = false});
    auto member = view.members.find(id.member);
    if (member == view.members.end() || !view.unreadable.empty()) return true;
    auto other = [&](const model::History& history) {
        return passes_through(history, epoch) &&
               repo::way_to(history, epoch) != repo::way_to(server, epoch);
    };
    const auto& held = member->second;
    for (const auto& piece : held.log.pieces) {
        if (piece.range.epoch == epoch) return true;
        auto history = held.histories.find(piece.range.epoch);
        if (history == held.histories.end() || other(history->second)) return true;
    }
    for (const auto& identity : held.identities) {
        auto at = identity.value.identity.position.epoch;
        const auto& text = identity.value.history;
        if (other(text ? model::parse_history(at, *text) : model::History(at))) return true;
    }
    return std::ranges::any_of(held.backups,
                               [&](const auto& backup) { return other(backup.value.history); }) ||
           std::ranges::any_of(view.marks, [&](const auto& mark) {
               return std::ranges::any_of(mark.value.members, [&](const auto& line) {
                   return line.name == id.member && other(line.history);
               });
           });
}

} // namespace

void throw_other_history(const std::string& why)
{
    throw Error{Code::identity_mismatch,
                why,
                {.hint = "check the member's url; if the cluster was restored or replaced on "
                         "purpose, take it out of the "
                         "group and add it under a new name"}};
}

model::History server_history(engine::Session& session, Epoch epoch)
{
    auto text = epoch > 1 ? session.history_file(epoch) : std::nullopt;
    return text ? model::parse_history(epoch, *text) : model::History(epoch);
}

ServerHistory compare_history(const Context& context, const model::MemberId& id,
                              engine::Session& session, Epoch epoch)
{
    if (epoch == 1) return {.history = model::History(1)};
    auto text = session.history_file(epoch);
    if (!text)
        throw_other_history(
            fmt::format("the server has no history file of its timeline {}", epoch));
    ServerHistory server{.history = model::parse_history(epoch, *text)};
    for (const auto& step : server.history.ancestors()) {
        if (step.epoch == 1 || pass_over_damage(context, id, step.epoch)) continue;
        auto stored = repo::load_history_text(context.storage(), id, step.epoch);
        if (stored && is_same_past(server.history, model::parse_history(step.epoch, *stored)))
            continue;
        auto older = session.history_file(step.epoch);
        if (stored && (!older || is_used_otherwise(context, id, server.history, step.epoch)))
            require_same_past(server.history, model::parse_history(step.epoch, *stored));
        if (older)
            server.files.emplace(step.epoch,
                                 ServerHistory::File{std::move(*older), stored.has_value()});
    }
    if (pass_over_damage(context, id, epoch)) return server;
    auto stored = repo::load_history_text(context.storage(), id, epoch);
    bool replaces = stored && model::parse_history(epoch, *stored) != server.history &&
                    !is_used_otherwise(context, id, server.history, epoch);
    if (replaces || !repo::holds_history(context.storage(), id, epoch, *text))
        server.files.emplace(epoch, ServerHistory::File{std::move(*text), replaces});
    return server;
}

void store_histories(const Context& context, const model::MemberId& id, const ServerHistory& server)
{
    for (const auto& [epoch, file] : server.files) {
        if (!file.replaces) {
            repo::store_history(context.storage(), id, epoch, file.text);
            continue;
        }
        repo::replace_history(context.storage(), id, epoch, file.text);
        context.progress.note(fmt::format(
            "{}: the history of timeline {} is stored anew: the one that was there is of a server "
            "of which nothing else is stored",
            id.member, epoch));
    }
}

void mend_histories(const Context& context, const model::MemberId& id, engine::Session& session,
                    const model::History& history)
{
    auto mend = [&](Epoch epoch) {
        if (epoch == 1 || !repo::history_is_damaged(context.storage(), id, epoch)) return;
        auto text = session.history_file(epoch);
        if (!text) return;
        if (epoch != history.current())
            require_same_past(history, model::parse_history(epoch, *text));
        repo::replace_damaged_history(context.storage(), id, epoch, *text);
        context.progress.note(fmt::format("{}: the history of timeline {} is stored anew from the "
                                          "server's copy",
                                          id.member, epoch));
    };
    for (const auto& step : history.ancestors())
        mend(step.epoch);
    mend(history.current());
}

void require_branch(const repo::LogCatalog& catalog, const model::MemberIdentity& recorded,
                    const model::History& history)
{
    Epoch newest = recorded.log_start.epoch;
    for (const auto& piece : catalog.pieces)
        newest = std::max(newest, piece.range.epoch);
    if (passes_through(history, newest)) return;
    throw_other_history(fmt::format(
        "log is stored of timeline {}, but the server is on timeline {}, which does not come from "
        "it: an old primary that came back, or another restore of the same cluster",
        newest, history.current()));
}

void refuse_one_set_back(engine::Session& session, const model::LogPosition& stored)
{
    auto now = session.insert_position();
    if (now.offset >= stored.offset) return;
    throw Error{
        Code::identity_mismatch,
        fmt::format("the server's log ends at {}, before {}, up to which it is stored: the server "
                    "was set back, by a snapshot or an older copy of its files",
                    model::format_offset(now.offset), model::format_offset(stored.offset)),
        {.hint = "other members hold what it has forgotten; if it is to stay so, promote it to a "
                 "timeline of its own (tidemark restore does that), or give it a new member name"}};
}

model::Offset confirmable(model::Offset durable, std::uint32_t segment_size)
{
    return durable > 0 && durable % segment_size == 0 ? durable - 1 : durable;
}

void warn_if_moved(const Context& context, const std::string& member,
                   std::optional<model::Offset> restart, model::Offset ours)
{
    if (!restart || *restart <= ours) return;
    context.progress.warn(fmt::format(
        "{}: our slot stands at {}, but log is stored up to {} only: somebody else moved it, and "
        "the server may drop what lies between; find who reads our slot (tidemark check: "
        "slot_consumer, slot_position)",
        member, model::format_offset(*restart), model::format_offset(ours)));
}

void require_uncompared(const Context& context, const std::string& member, const Uncompared& log)
{
    if (log.recorded.log_start.offset >= log.end.offset || log.history.current() > log.end.epoch)
        return;
    if (log.restart && *log.restart >= log.end.offset) {
        context.progress.warn(fmt::format(
            "{}: our slot kept the server's log from {} on only, where the stored log ends, so "
            "nothing could be compared to see that it is the same history; from the next log on "
            "the segment before is kept",
            member, model::format_position(log.end)));
        return;
    }
    throw Error{
        Code::identity_mismatch,
        fmt::format("the server no longer has its log before {}, where the stored log ends, though "
                    "our slot keeps the segment before it: the two cannot be compared, and this "
                    "may be another history of the cluster",
                    model::format_position(log.end)),
        {.hint = "check the member's url; if it is the right server and its slot was made by hand "
                 "or for another copy of this repository, drop that slot, and tidemark backup "
                 "begins a new chain"}};
}

} // namespace tidemark::job
