#include "model/commits_to_check.h"

#include "model/instances.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace tidemark::model {

namespace {

/// What is known of one member's branches by xid: gid, global id.
struct KnownGids {
    std::map<std::uint32_t, std::string> gid;
    std::set<std::string> ids;
};

KnownGids known_gids(const MemberLog& log, const OpenTransactions* previous)
{
    KnownGids out;
    auto add = [&](std::uint32_t xid, const std::string& gid) {
        out.gid[xid] = gid;
        out.ids.insert(log.pattern.global_id(gid).value_or(gid));
    };
    for (const auto& seed : log.seeds)
        add(seed.xid, seed.gid);
    if (previous != nullptr) {
        for (const auto& branch : previous->branches)
            // What a failover took was prepared nowhere, and its xid is given out again.
            if (branch.member == log.name && branch.finish != Finish::lost)
                add(branch.xid, branch.gid);
    }
    for (const auto& event : log.events)
        if (event.kind == EventKind::prepare && on_history(log.history, event.epoch, event.end))
            add(event.xid, event.gid);
    return out;
}

/// The events may be whole pieces; up to here the branches of the table say it.
Offset told_to(const OpenTransactions* previous, const std::string& member)
{
    if (previous == nullptr) return 0;
    auto known = previous->members.find(member);
    return known == previous->members.end() ? 0 : known->second.e;
}

struct FoundCommit {
    LateCommit commit;
    base::Time at; ///< by the member's clock
};

/// late_commits(), and when each was.
std::vector<FoundCommit> find_late(const CutInput& input, const CutResult& cut, const Sweep& since)
{
    std::vector<FoundCommit> out;
    if (input.decision_tables.empty()) return out;
    std::map<std::string, KnownGids> known;
    for (const auto& member : input.members)
        known.emplace(member.log.name, known_gids(member.log, input.previous));
    auto everywhere = [&](const std::string& id) {
        return std::ranges::all_of(input.decision_tables, [&](const DecisionTable& table) {
            auto there = known.find(table.member);
            return there != known.end() && there->second.ids.contains(id);
        });
    };
    for (std::size_t m = 0; m < input.members.size(); ++m) {
        const MemberLog& log = input.members[m].log;
        auto from = since.find(log.name);
        const auto& gids = known.at(log.name).gid;
        const Offset told = told_to(input.previous, log.name);
        for (const auto& event : log.events) {
            // What stood on an abandoned tail has the xids of the present log.
            bool inside = event.end <= cut.members[m].cut.offset &&
                          on_history(log.history, event.epoch, event.end);
            if (event.kind != EventKind::commit || !inside || event.end <= told ||
                (from != since.end() && event.end <= from->second))
                continue;
            auto found = gids.find(event.xid);
            const std::string& gid = found != gids.end() ? found->second : event.gid;
            auto id = log.pattern.global_id(gid);
            // An unknown branch or a stranger's: nobody's table is bound to have it.
            if (gid.empty() || !id || everywhere(*id)) continue;
            out.push_back({{.member = log.name,
                            .gid = gid,
                            .global_id = *id,
                            .commit = {event.epoch, event.start}},
                           event.at});
        }
        if (input.previous == nullptr) continue;
        for (const Branch& branch : input.previous->branches) {
            bool inside = branch.member == log.name && branch.finish == Finish::committed &&
                          branch.finish_end <= cut.members[m].cut.offset &&
                          on_history(log.history, branch.finish_epoch, branch.finish_end);
            if (!inside || !branch.matched || everywhere(branch.global_id) ||
                (from != since.end() && branch.finish_end <= from->second))
                continue;
            out.push_back({{.member = log.name,
                            .gid = branch.gid,
                            .global_id = branch.global_id,
                            .commit = {branch.finish_epoch, branch.finish_start}},
                           branch.finished_at});
        }
    }
    return out;
}

std::vector<LateCommit> commits_of(std::vector<FoundCommit> found)
{
    std::vector<LateCommit> out;
    out.reserve(found.size());
    for (auto& one : found)
        out.push_back(std::move(one.commit));
    return out;
}

} // namespace

std::vector<LateCommit> late_commits(const CutInput& input, const CutResult& cut,
                                     const Sweep& since)
{
    return commits_of(find_late(input, cut, since));
}

namespace {

const CutMember* find_member(const CutInput& input, const std::string& name)
{
    auto found = std::ranges::find(input.members, name,
                                   [](const CutMember& member) { return member.log.name; });
    return found == input.members.end() ? nullptr : &*found;
}

/// Since the mark before, or since its log begins: what it decided meanwhile may be gone.
bool was_failed_over(const CutInput& input, const CutMember& member)
{
    const auto& history = member.log.history;
    if (input.previous != nullptr) {
        auto known = input.previous->members.find(member.log.name);
        if (known != input.previous->members.end()) return known->second.epoch != history.current();
    }
    return history.epoch_at(member.log.complete_since) != history.current();
}

/// Whose failovers may have taken the decision, without those of whose tables the group says
/// something else by now: there somebody has looked.
std::vector<std::string> still_asked(const LateCommit& commit, const Mark& previous,
                                     const std::vector<DecisionTable>& now)
{
    std::vector<std::string> out;
    for (const auto& table : previous.decision_tables) {
        bool concerned =
            commit.failed_over.empty() ||
            std::ranges::find(commit.failed_over, table.member) != commit.failed_over.end();
        if (concerned && table.table != kNoDecisionTable &&
            std::ranges::find(now, table) != now.end())
            out.push_back(table.member);
    }
    return out;
}

Sweep restore_points(const Mark* previous)
{
    Sweep out;
    if (previous != nullptr)
        for (const auto& [name, known] : previous->table.members)
            out[name] = known.r;
    return out;
}

void append(std::vector<LateCommit>& to, std::vector<LateCommit> more)
{
    std::ranges::move(more, std::back_inserter(to));
}

ClockReading clock_of(const CutInput& input, const std::string& member)
{
    const auto* found = find_member(input, member);
    return found == nullptr ? ClockReading{} : found->log.clock.value_or(ClockReading{});
}

/// By our clock, a time that none of these switches came before; none where one is not known.
std::optional<base::Time> before_switches(const CutInput& input,
                                          const std::vector<std::string>& failed_over)
{
    std::optional<base::Time> out;
    for (const auto& name : failed_over) {
        const auto* member = find_member(input, name);
        if (member == nullptr || !member->kept_until) return std::nullopt;
        auto clock = clock_of(input, name);
        auto at = *member->kept_until - clock.offset - clock.error;
        out = out ? std::min(*out, at) : at;
    }
    return out;
}

/// By our clock, when it was committed at the earliest: from there on its row stays for kRowsStay.
/// Where its own time is not known, when the mark before was placed, behind whose restore point it
/// lies.
base::Time committed_since(const FoundCommit& found, const CutInput& input, const Mark* previous)
{
    const auto* member = find_member(input, found.commit.member);
    std::optional<base::Time> behind;
    if (previous != nullptr && previous->table.members.contains(found.commit.member))
        behind = std::min(previous->created - previous->spread, input.created);
    if (member == nullptr || !member->log.clock || found.at == base::Time{})
        return behind.value_or(input.created);
    const auto at =
        std::min(input.created, found.at - member->log.clock->offset - member->log.clock->error);
    return behind ? std::max(at, *behind) : at;
}

/// Those first that a failover is most likely to have taken the decisions of: all members' first
/// come before any one's second.
std::vector<FoundCommit> nearest_first(std::vector<FoundCommit> found, const CutInput& input,
                                       const std::vector<std::string>& failed_over)
{
    const auto switched = before_switches(input, failed_over);
    std::map<std::string_view, std::vector<std::size_t>> of_member;
    for (std::size_t i = 0; i < found.size(); ++i)
        of_member[found[i].commit.member].push_back(i);
    std::vector<std::pair<std::size_t, std::size_t>> ranked; // from the switch, index
    for (auto& [member, indexes] : of_member) {
        auto clock = clock_of(input, std::string(member));
        auto place = [&](std::size_t i) {
            auto latest = found[i].at - clock.offset + clock.error;
            auto offset = found[i].commit.commit.offset;
            bool before = switched && latest < *switched;
            return std::pair{before, before ? ~offset : offset};
        };
        std::ranges::sort(indexes, {}, place);
        for (std::size_t rank = 0; rank < indexes.size(); ++rank)
            ranked.emplace_back(rank, indexes[rank]);
    }
    std::ranges::sort(ranked);
    std::vector<FoundCommit> out;
    out.reserve(found.size());
    for (const auto& [rank, index] : ranked)
        out.push_back(std::move(found[index]));
    return out;
}

/// Leaves the first kMostCarried. Returns how many went.
template <typename Commit> std::size_t keep_first(std::vector<Commit>& commits)
{
    if (commits.size() <= kMostCarried) return 0;
    auto gone = commits.size() - kMostCarried;
    commits.erase(commits.begin() + kMostCarried, commits.end());
    return gone;
}

} // namespace

CommitsToCheck carried_commits(const CutInput& input, const Mark* previous)
{
    CommitsToCheck out;
    if (previous == nullptr) return out;
    for (const LateCommit& commit : previous->decided) {
        if (!commit.carried) continue;
        auto failed_over = still_asked(commit, *previous, input.decision_tables);
        if (failed_over.empty()) continue;
        out.left_out = previous->decided_left_out; // of these, or of what is dropped: not known
        if (find_member(input, commit.member) == nullptr) continue;
        out.commits.push_back(commit);
        auto& taken = out.commits.back();
        taken.failed_over = std::move(failed_over);
        if (commit.inherited) continue;
        if (!taken.found) taken.found = previous->created;
        taken.inherited = input.created - *taken.found > kRowsStay;
    }
    // A mark lists what it found first, in the order of nearest_first(). Those that say of none of
    // it when that was list it last, and each mark's under one time.
    if (std::ranges::any_of(previous->decided, [](const LateCommit& commit) {
            return commit.carried && !commit.found;
        }))
        std::ranges::stable_sort(out.commits, std::greater{}, &LateCommit::found);
    out.left_out += keep_first(out.commits);
    return out;
}

CommitsToCheck commits_since(const CutInput& input, const CutResult& cut, const Mark* previous)
{
    auto out = carried_commits(input, previous);
    append(out.commits, late_commits(input, cut, restore_points(previous)));
    return out;
}

CommitsToCheck commits_to_check(const CutInput& input, const CutResult& cut, const Sweep& before,
                                const Mark* previous)
{
    bool below = false;
    std::vector<std::string> gone;
    for (const auto& table : input.decision_tables) {
        const CutMember* member = find_member(input, table.member);
        if (member == nullptr || table.table == kNoDecisionTable) continue;
        below = below ||
                cut.members[static_cast<std::size_t>(member - input.members.data())].cut.offset <
                    member->b;
        if (was_failed_over(input, *member)) gone.push_back(table.member);
    }
    if (below && gone.empty()) return commits_since(input, cut, previous);
    auto out = carried_commits(input, previous);
    auto late = find_late(input, cut, before);
    if (!gone.empty()) {
        std::set<std::pair<std::string, Offset>> listed;
        for (const auto& one : late)
            listed.emplace(one.commit.member, one.commit.commit.offset);
        auto found = find_late(input, cut, restore_points(previous));
        std::erase_if(found, [&](const FoundCommit& one) {
            return listed.contains({one.commit.member, one.commit.commit.offset});
        });
        auto earlier = nearest_first(std::move(found), input, gone);
        // Below b everything since the mark before is late, with or without a failover.
        if (!below) out.left_out += keep_first(earlier);
        std::ranges::move(late, std::back_inserter(earlier));
        late = std::move(earlier);
        for (auto& one : late) {
            one.commit.carried = true;
            one.commit.failed_over = gone;
            one.commit.found = committed_since(one, input, previous);
        }
    }
    auto listed = commits_of(std::move(late));
    append(listed, std::move(out.commits));
    out.commits = std::move(listed);
    return out;
}

void list_commits(Mark& mark, CommitsToCheck commits)
{
    mark.decided = std::move(commits.commits);
    mark.decided_left_out = commits.left_out;
}

} // namespace tidemark::model
