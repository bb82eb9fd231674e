#include "job/member_history.h"

#include "base/error.h"
#include "repo/histories.h"
#include "repo/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

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
void require_same_past(const model::History& history, const model::History& ancestor)
{
    const auto& ours = history.ancestors();
    const auto& theirs = ancestor.ancestors();
    if (theirs.size() < ours.size() && std::equal(theirs.begin(), theirs.end(), ours.begin()))
        return;
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

} // namespace

void throw_other_history(const std::string& why)
{
    throw Error{Code::identity_mismatch,
                why,
                {.hint = "check the member's url; if the cluster was restored or replaced on "
                         "purpose, take it out of the "
                         "group and add it under a new name"}};
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
        if (auto stored = repo::load_history_text(context.storage(), id, step.epoch)) {
            require_same_past(server.history, model::parse_history(step.epoch, *stored));
        } else if (auto older = session.history_file(step.epoch)) {
            server.files.emplace(step.epoch, std::move(*older));
        }
    }
    if (!pass_over_damage(context, id, epoch) &&
        !repo::holds_history(context.storage(), id, epoch, *text))
        server.files.emplace(epoch, std::move(*text));
    return server;
}

void store_histories(const Context& context, const model::MemberId& id, const ServerHistory& server)
{
    for (const auto& [epoch, text] : server.files)
        repo::store_history(context.storage(), id, epoch, text);
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
