#include "model/instances.h"

#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

namespace tidemark::model {
namespace {

using base::Code;
using base::Error;

/// Where the history left `epoch`; kNever for the current one, 0 for one it never was on.
Offset left_at(const History& history, Epoch epoch)
{
    if (epoch == history.current()) return kNever;
    for (const History::Step& step : history.ancestors()) {
        if (step.epoch == epoch) return step.left_at;
    }
    return 0;
}

Finish finish_of(EventKind kind)
{
    return kind == EventKind::commit ? Finish::committed : Finish::rolled_back;
}

void place_lost(Instance& instance, const History& history, Epoch epoch)
{
    Offset end = std::max<Offset>(left_at(history, epoch), 1);
    instance.finish = Finish::lost;
    instance.prepare_start = end - 1;
    instance.prepare_end = instance.finish_start = instance.finish_end = end;
}

} // namespace

bool on_history(const History& history, Epoch epoch, Offset end)
{
    return end <= left_at(history, epoch);
}

Offset known_to(const OpenTransactions::Member& member, const History& history)
{
    Offset left = left_at(history, member.epoch);
    if (left == 0) {
        throw Error{Code::identity_mismatch,
                    fmt::format("the log is on timeline {}, whose history does not pass through "
                                "timeline {} of the last mark",
                                history.current(), member.epoch),
                    {.hint = "compare the server with the one that was backed up; if it was "
                             "restored from elsewhere, make it a member of its own"}};
    }
    return std::min(member.e, left);
}

/// One member's log while it is read.
struct Instances::Replay {
    std::uint32_t member = 0;
    const MemberLog* log = nullptr;
    Offset from = 0; ///< what ends here or before is known
    const OpenTransactions::Member* table = nullptr;
    std::unordered_map<std::uint32_t, std::size_t> open = {}; ///< xid -> instance
    std::map<std::pair<Epoch, std::uint32_t>, std::size_t> lost = {};
    std::unordered_set<std::uint32_t> vanished = {}; ///< if no end shows, it was before the log
    Offset next_start = 0; ///< no record may start before the last one's end
    /// This member's instances below `indexed`; filled by commits on a tail, which ask for it.
    std::unordered_multimap<std::uint32_t, std::size_t> by_xid = {};
    std::size_t indexed = 0;
};

Instances::Instances(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
                     std::span<const Offset> limits)
    : logs_(logs.begin(), logs.end())
{
    std::size_t expected = previous ? previous->branches.size() : 0;
    for (const MemberLog* log : logs_)
        expected += log->events.size() / 2 + log->seeds.size();
    all_.reserve(expected + 16);
    id_numbers_.reserve(expected);
    for (std::uint32_t m = 0; m < logs_.size(); ++m) {
        base::with_context("member " + logs_[m]->name,
                           [&] { take_member(m, previous, limits[m]); });
    }
}

void Instances::take_member(std::uint32_t member, const OpenTransactions* previous, Offset limit)
{
    const MemberLog& log = *logs_[member];
    Replay replay{.member = member, .log = &log, .indexed = all_.size()};
    bool fresh = true;
    if (previous) {
        if (auto found = previous->members.find(log.name); found != previous->members.end()) {
            replay.table = &found->second;
            replay.from = known_to(*replay.table, log.history);
            fresh = log.complete_since > replay.from;
            take_table(replay, *previous, fresh);
        }
    }
    if (fresh) {
        replay.from = std::max(replay.from, log.complete_since);
        take_seeds(replay);
    }
    for (const TransactionEvent& event : log.events) {
        // The limit is a position of the present history; an abandoned tail may go far beyond it.
        if (event.end <= limit || !on_history(log.history, event.epoch, event.end))
            take_event(replay, event);
    }
    close_replay(replay);
}

void Instances::take_table(Replay& replay, const OpenTransactions& previous, bool gap)
{
    const History& history = replay.log->history;
    std::unordered_set<std::uint32_t> listed;
    for (const Seed& seed : replay.log->seeds)
        listed.insert(seed.xid);
    for (const Branch& branch : previous.branches) {
        if (branch.member != replay.log->name) continue;
        Instance& instance = add(replay.member, branch.gid);
        instance.carried = &branch;
        instance.seeded = branch.seeded;
        instance.commit_unseen = branch.commit_unseen;
        instance.id_mixed = branch.id_mixed;
        instance.abandoned_commit = branch.abandoned_commit;
        instance.prepare_start = branch.prepare_start;
        instance.prepare_end = branch.prepare_end;
        instance.prepared_at = branch.prepared_at;
        if (branch.finish == Finish::lost ||
            (!branch.seeded && !on_history(history, branch.epoch, branch.prepare_end))) {
            instance.finished_at = branch.finished_at;
            if (branch.finish == Finish::committed)
                instance.abandoned_commit = {branch.finish_epoch, branch.finish_start};
            if (branch.finish == Finish::open)
                replay.lost[{branch.epoch, branch.xid}] = all_.size() - 1;
            place_lost(instance, history, branch.epoch);
            continue;
        }
        bool finished = branch.finish == Finish::unseen ||
                        (branch.finish != Finish::open &&
                         on_history(history, branch.finish_epoch, branch.finish_end));
        if (finished) {
            instance.finish = branch.finish;
            instance.finish_start = branch.finish_start;
            instance.finish_end = branch.finish_end;
            instance.finished_at = branch.finished_at;
            continue;
        }
        if (branch.finish == Finish::committed)
            instance.abandoned_commit = {branch.finish_epoch, branch.finish_start};
        replay.open[branch.xid] = all_.size() - 1;
        if (gap && !listed.contains(branch.xid)) replay.vanished.insert(branch.xid);
    }
    for (const UnknownFinish& finish : previous.unknown_finishes) {
        if (finish.member == replay.log->name && on_history(history, finish.epoch, finish.end)) {
            unknown_.push_back({.member = replay.member, .finish = finish});
        }
    }
}

void Instances::take_seeds(Replay& replay)
{
    for (const Seed& seed : replay.log->seeds) {
        auto known = replay.open.find(seed.xid);
        if (known != replay.open.end()) {
            all_[known->second].seed = &seed;
            if (seed.gone) replay.vanished.insert(seed.xid);
            continue;
        }
        Instance& instance = add(replay.member, seed.gid);
        instance.seed = &seed;
        instance.seeded = true;
        instance.prepared_at = seed.prepared_at;
        replay.open[seed.xid] = all_.size() - 1;
        if (seed.gone) replay.vanished.insert(seed.xid);
    }
}

void Instances::take_event(Replay& replay, const TransactionEvent& event)
{
    const History& history = replay.log->history;
    if (event.end <= event.start) throw Error{Code::failed, "a record in the index has no length"};
    if (!on_history(history, event.epoch, event.end)) {
        take_abandoned(replay, event);
        return;
    }
    if (event.start < replay.next_start) {
        throw Error{Code::failed,
                    fmt::format("the index lists the record at {} after one that ends at {}",
                                format_offset(event.start), format_offset(replay.next_start)),
                    {.hint = "rebuild the index of this member's log: tidemark reindex"}};
    }
    replay.next_start = event.end;
    if (event.end <= replay.from) return;
    if (event.kind == EventKind::prepare) {
        take_prepare(replay, event);
    } else {
        take_finish(replay, event);
    }
}

/// The tail that a failover abandoned. A prepare that stood there is lost.
void Instances::take_abandoned(Replay& replay, const TransactionEvent& event)
{
    const History& history = replay.log->history;
    bool known = replay.table && replay.table->epoch == event.epoch && event.end <= replay.table->e;
    if (known) return;
    const std::pair xid{event.epoch, event.xid};
    if (event.kind == EventKind::prepare) {
        Instance& instance = add(replay.member, event.gid);
        instance.prepare = &event;
        instance.prepared_at = event.at;
        place_lost(instance, history, event.epoch);
        replay.lost[xid] = all_.size() - 1;
        return;
    }
    // It did not happen; but it says when this use of the id was over, and what somebody was told.
    if (auto lost = replay.lost.find(xid); lost != replay.lost.end()) {
        Instance& instance = all_[lost->second];
        instance.finished_at = event.at;
        if (event.kind == EventKind::commit) instance.abandoned_commit = {event.epoch, event.start};
        replay.lost.erase(lost);
        return;
    }
    // Or what somebody was told of a branch that was prepared before the log divided.
    if (event.kind != EventKind::commit) return;
    for (; replay.indexed < all_.size(); ++replay.indexed)
        replay.by_xid.emplace(this->xid(all_[replay.indexed]), replay.indexed);
    auto [first, last] = replay.by_xid.equal_range(event.xid);
    for (auto same = first; same != last; ++same) {
        Instance& instance = all_[same->second];
        if (instance.finish == Finish::lost) continue;
        if (instance.seeded || on_history(history, event.epoch, instance.prepare_end))
            instance.abandoned_commit = {event.epoch, event.start};
    }
}

void Instances::take_prepare(Replay& replay, const TransactionEvent& event)
{
    auto known = replay.open.find(event.xid);
    if (known != replay.open.end()) {
        Instance& instance = all_[known->second];
        if (instance.seed && !instance.carried && instance.seed->gid == event.gid) {
            // Listed as prepared, and here is its record after all.
            instance.seeded = false;
            instance.prepare = &event;
            instance.prepare_start = event.start;
            instance.prepare_end = event.end;
            instance.prepared_at = event.at;
            return;
        }
        // The xid came round again, so the former branch ended where we could not see it.
        instance.finish = Finish::unseen;
        instance.finish_start = instance.finish_end = std::min(replay.from, event.start);
    }
    Instance& instance = add(replay.member, event.gid);
    instance.prepare = &event;
    instance.prepare_start = event.start;
    instance.prepare_end = event.end;
    instance.prepared_at = event.at;
    replay.open[event.xid] = all_.size() - 1;
}

void Instances::take_finish(Replay& replay, const TransactionEvent& event)
{
    auto known = replay.open.find(event.xid);
    if (known == replay.open.end() && event.gid.empty()) {
        unknown_.push_back({.member = replay.member,
                            .finish = {.member = replay.log->name,
                                       .epoch = event.epoch,
                                       .xid = event.xid,
                                       .committed = event.kind == EventKind::commit,
                                       .start = event.start,
                                       .end = event.end,
                                       .at = event.at}});
        return;
    }
    if (known == replay.open.end()) add(replay.member, event.gid).seeded = true;
    Instance& instance = known == replay.open.end() ? all_.back() : all_[known->second];
    instance.end = &event;
    instance.finish = finish_of(event.kind);
    instance.finish_start = event.start;
    instance.finish_end = event.end;
    instance.finished_at = event.at;
    if (known != replay.open.end()) replay.open.erase(known);
}

void Instances::close_replay(Replay& replay)
{
    for (const auto& [xid, index] : replay.open) {
        Instance& instance = all_[index];
        if (!replay.vanished.contains(xid)) continue;
        instance.finish = Finish::unseen;
        instance.finish_start = instance.finish_end = std::max(replay.from, instance.prepare_end);
    }
}

Instance& Instances::add(std::uint32_t member, std::string_view gid)
{
    bool matched = true;
    std::uint32_t id = intern(*logs_[member], gid, matched);
    Instance& instance = all_.emplace_back();
    instance.member = member;
    instance.id = id;
    instance.matched = matched;
    instance.finish_start = instance.finish_end = kNever;
    return instance;
}

std::uint32_t Instances::intern(const MemberLog& log, std::string_view gid, bool& matched)
{
    auto next = static_cast<std::uint32_t>(ids_.size());
    std::string_view name = gid;
    if (!log.pattern.identical()) {
        auto global = log.pattern.global_id(gid);
        matched = global.has_value();
        if (global) name = owned_ids_.emplace_back(std::move(*global));
    }
    if (!matched) { // every instance stands alone, even when its gid comes again
        ids_.push_back(gid);
        return next;
    }
    auto [place, fresh] = id_numbers_.try_emplace(name, next);
    if (fresh) {
        ids_.push_back(name);
    } else if (!owned_ids_.empty() && owned_ids_.back().data() == name.data()) {
        owned_ids_.pop_back();
    }
    return place->second;
}

std::uint32_t Instances::xid(const Instance& instance) const
{
    if (instance.end) return instance.end->xid;
    if (instance.prepare) return instance.prepare->xid;
    return instance.carried ? instance.carried->xid : instance.seed->xid;
}

Epoch Instances::finish_epoch(const Instance& instance) const
{
    if (instance.end) return instance.end->epoch;
    if (instance.carried && instance.carried->finish != Finish::open)
        return instance.carried->finish_epoch;
    return logs_[instance.member]->history.current();
}

Epoch Instances::prepare_epoch(const Instance& instance) const
{
    if (instance.prepare) return instance.prepare->epoch;
    if (instance.carried) return instance.carried->epoch;
    return logs_[instance.member]->history.current();
}

Branch Instances::branch(const Instance& instance) const
{
    Branch branch;
    if (instance.carried) {
        branch = *instance.carried;
    } else {
        branch.gid = instance.prepare ? instance.prepare->gid
                     : instance.seed  ? instance.seed->gid
                                      : instance.end->gid;
        branch.member = logs_[instance.member]->name;
        branch.xid = xid(instance);
        branch.epoch = prepare_epoch(instance);
        branch.prepared_at = instance.prepared_at;
    }
    if (const Seed* seed = instance.seed) {
        branch.database = seed->database;
        branch.database_name = seed->database_name;
        branch.owner = seed->owner;
        branch.owner_name = seed->owner_name;
    } else if (const TransactionEvent* prepare = instance.prepare) {
        branch.database = prepare->database;
        branch.owner = prepare->owner;
    }
    branch.global_id = ids_[instance.id];
    branch.matched = instance.matched;
    branch.seeded = instance.seeded;
    branch.abandoned_commit = instance.abandoned_commit;
    branch.finish = instance.finish;
    if (instance.prepare) { // of a lost branch too: where it really stood
        branch.prepare_start = instance.prepare->start;
        branch.prepare_end = instance.prepare->end;
    }
    bool ended = instance.finish != Finish::open && instance.finish != Finish::lost;
    branch.finish_epoch = ended ? finish_epoch(instance) : 0;
    branch.finish_start = ended ? instance.finish_start : 0;
    branch.finish_end = ended ? instance.finish_end : 0;
    // Of a lost branch, when its use of the id was over.
    branch.finished_at = instance.finish == Finish::open ? base::Time{} : instance.finished_at;
    return branch;
}

} // namespace tidemark::model
