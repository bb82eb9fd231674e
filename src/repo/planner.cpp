#include "repo/planner.h"

#include "base/check.h"
#include "model/membership.h"
#include "repo/histories.h"
#include "repo/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace tidemark::repo {

std::vector<MemberGoal> goals_of(const model::Mark& mark, const std::vector<std::string>& wanted)
{
    std::vector<MemberGoal> out;
    for (const model::MarkMember& member : mark.members) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), member.name) == wanted.end())
            continue;
        out.push_back({.member = member.name,
                       .history = member.history,
                       .target = member.cut,
                       .log_to = {.epoch = member.history.current(), .offset = member.log_end},
                       .system_id = member.system_id});
    }
    return out;
}

Planner::Planner(const RepositoryView& view, bool allow_damaged, Unclosed unclosed)
    : view_(view), allow_damaged_(allow_damaged), unclosed_(unclosed)
{
}

Planner::MemberFacts& Planner::facts(const std::string& member)
{
    auto at = facts_.find(member);
    if (at == facts_.end()) at = facts_.emplace(member, make_facts(member)).first;
    return at->second;
}

Planner::MemberFacts Planner::make_facts(const std::string& member) const
{
    MemberFacts out;
    auto found = view_.members.find(member);
    if (found == view_.members.end()) return out;
    out.view = &found->second;
    std::set<model::Number> in_sets;
    for (const StoredSet& set : view_.sets) {
        auto part = set.value.members.find(member);
        if (part == set.value.members.end()) continue;
        if (part->second.backup) in_sets.insert(*part->second.backup);
        for (const model::PieceRef& piece : part->second.pieces)
            out.named.emplace(piece.object.key, piece);
    }
    for (const model::PieceRef& piece : out.view->joined)
        out.named.emplace(piece.object.key, piece);
    for (const LogPiece& piece : out.view->log.pieces)
        if (!view_.damaged_objects.contains(piece.key)) out.usable.push_back(piece);
    for (const StoredManifest& backup : out.view->backups) {
        Candidate candidate{
            .backup = &backup, .in_set = in_sets.contains(backup.number()), .lost = {}};
        auto look = [&](const std::string& key, std::uint64_t size) {
            auto there = out.view->packs.find(key);
            if (there == out.view->packs.end() || there->second != size ||
                view_.damaged_objects.contains(key))
                candidate.lost.push_back(key);
        };
        if (view_.damaged_objects.contains(backup.object.key))
            candidate.lost.push_back(backup.object.key);
        look(backup.value.page_map.key, backup.value.page_map.size);
        for (const model::PackRef& pack : backup.value.packs)
            look(pack.key, pack.size);
        out.backups.push_back(std::move(candidate));
    }
    auto rank = [&](const Candidate& c) {
        bool oldest_first = !c.in_set && unclosed_ == Unclosed::oldest_first;
        auto number = c.backup->number();
        return std::tuple{c.backup->value.is_damaged(), !c.in_set,
                          oldest_first ? number : model::kMaxNumber - number};
    };
    std::sort(out.backups.begin(), out.backups.end(),
              [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
    return out;
}

const std::vector<LogChain>& Planner::chains(MemberFacts& facts, const model::History& history)
{
    for (const auto& [known, chains] : facts.chains)
        if (known == history) return chains;
    facts.chains.emplace_back(history, find_chains(facts.usable, history));
    return facts.chains.back().second;
}

bool Planner::history_known(const MemberFacts& facts, const model::History& history) const
{
    if (history.ancestors().empty() && history.current() == 1) return true;
    if (view_.damaged_objects.contains(history_key(facts.view->log.id, history.current())))
        return false;
    auto stored = facts.view->histories.find(history.current());
    return stored != facts.view->histories.end() && stored->second == history;
}

bool Planner::lies_on(const model::Manifest& backup, const MemberGoal& goal)
{
    if (!goal.system_id.empty() && backup.identity.system_id != goal.system_id) return false;
    // A copy of the server that went another way to the same number: its backup is stored before
    // its log is compared.
    const auto epoch = backup.stop.epoch;
    if (backup.history.contains(backup.stop) &&
        way_to(backup.history, epoch) != way_to(goal.history, epoch))
        return false;
    return goal.history.contains(backup.start) && goal.history.contains(backup.stop);
}

bool Planner::fits(const StoredManifest& backup, const MemberGoal& goal)
{
    const model::Manifest& value = backup.value;
    // Offsets grow along a history. Of a year's backups most are newer than an old mark: this is
    // asked of each for each mark, and what follows takes long.
    if (value.stop.offset > goal.target.offset) return false;
    if (!goal.history.contains(goal.target) || !goal.history.contains(goal.log_to) ||
        goal.log_to.offset < goal.target.offset)
        return false;
    return lies_on(value, goal) && goal.history.order(value.stop, goal.target) <= 0;
}

bool Planner::usable(MemberFacts& facts, const Candidate& candidate, const MemberGoal& goal)
{
    if (!candidate.lost.empty() || !fits(*candidate.backup, goal)) return false;
    if (candidate.backup->value.is_damaged() && !allow_damaged_) return false;
    const auto& start = candidate.backup->value.start;
    if (facts.view->log.barrier(goal.history, start, goal.target)) return false;
    const auto& runs = chains(facts, goal.history);
    return std::any_of(runs.begin(), runs.end(), [&](const LogChain& run) {
        return run.start.offset <= start.offset && goal.log_to.offset <= run.end.offset;
    });
}

const StoredManifest* Planner::choose(const MemberGoal& goal)
{
    MemberFacts& known = facts(goal.member);
    if (known.view == nullptr || !history_known(known, goal.history)) return nullptr;
    auto found =
        std::find_if(known.backups.begin(), known.backups.end(),
                     [&](const Candidate& candidate) { return usable(known, candidate, goal); });
    return found == known.backups.end() ? nullptr : found->backup;
}

const StoredManifest* Planner::stand_in(const StoredManifest& backup)
{
    const model::Manifest& value = backup.value;
    // Else its own words do not tell on which way it lies.
    if (!value.history.contains(value.start) || !value.history.contains(value.stop)) return nullptr;
    MemberFacts& known = facts(value.member);
    // Whoever begins with the backup reads the log from its start on: who comes to that start
    // along the same way comes wherever it does.
    const MemberGoal its_start{.member = value.member,
                               .history = value.history,
                               .target = value.start,
                               .log_to = value.start,
                               .system_id = value.identity.system_id};
    const StoredManifest* oldest = nullptr;
    for (const Candidate& candidate : known.backups) {
        const StoredManifest& other = *candidate.backup;
        if (candidate.in_set || other.number() >= backup.number()) continue;
        if (other.value.is_damaged() && !value.is_damaged()) continue;
        if (oldest != nullptr && oldest->number() < other.number()) continue;
        if (usable(known, candidate, its_start)) oldest = &other;
    }
    return oldest;
}

bool Planner::reachable(const MemberGoal& goal)
{
    return choose(goal) != nullptr;
}

bool Planner::restorable(const model::Mark& mark)
{
    auto goals = goals_of(mark, {});
    return !goals.empty() && missing(mark).empty() &&
           std::all_of(goals.begin(), goals.end(),
                       [&](const MemberGoal& goal) { return reachable(goal); });
}

std::vector<std::string> Planner::missing(const model::Mark& mark) const
{
    std::vector<std::string> out;
    for (const auto& [name, member] : view_.members) {
        if (std::ranges::count(mark.members, name, &model::MarkMember::name) != 0) continue;
        const auto* then = identity_then(member, mark.created);
        if (then == nullptr || then->value.has_left()) continue;
        auto holds = [&](const StoredMark& one) {
            // Since it joined: an earlier one is of a time from which it came back.
            return one.value.created > then->value.recorded && one.value.created < mark.created &&
                   std::ranges::count(one.value.members, name, &model::MarkMember::name) != 0;
        };
        if (!belongs_with_first_mark(then->value) || std::ranges::any_of(view_.marks, holds))
            out.push_back(name);
    }
    return out;
}

std::optional<MemberPlan> Planner::plan_member(const MemberGoal& goal,
                                               std::vector<Obstacle>& obstacles,
                                               std::vector<std::string>& warnings)
{
    MemberFacts& known = facts(goal.member);
    if (known.view == nullptr || known.backups.empty()) {
        obstacles.push_back({.kind = ObstacleKind::no_backup,
                             .member = goal.member,
                             .text = "no base backup of it is in the repository",
                             .gap = {},
                             .object = {}});
        return std::nullopt;
    }
    if (!history_known(known, goal.history)) {
        obstacles.push_back(
            {.kind = ObstacleKind::missing_history,
             .member = goal.member,
             .text = fmt::format("the history file of timeline {} is missing or another one",
                                 goal.history.current()),
             .gap = {},
             .object = history_key({view_.group, goal.member}, goal.history.current())});
        return std::nullopt;
    }
    std::vector<std::string> lost;
    for (const Candidate& candidate : known.backups) {
        if (!usable(known, candidate, goal)) {
            // What is known to be damaged is told by whoever read it.
            auto gone = std::ranges::find_if(candidate.lost, [&](const std::string& key) {
                return !view_.damaged_objects.contains(key);
            });
            if (gone != candidate.lost.end() && fits(*candidate.backup, goal))
                lost.push_back(fmt::format("member {}: the base backup b-{} is lost ({} is missing "
                                           "or cut short)",
                                           goal.member, candidate.backup->number(), *gone));
            continue;
        }
        MemberPlan plan = make_plan(known, candidate, goal);
        for (const std::string& sentence : lost)
            warnings.push_back(
                fmt::format("{}, so b-{} and the log from there on are taken instead", sentence,
                            plan.backup.number()));
        if (plan.damaged)
            warnings.push_back(fmt::format("member {}: backup {}, the only one that fits, holds {} "
                                           "damaged pages",
                                           goal.member, plan.backup.number(),
                                           plan.backup.value.damaged_pages()));
        if (!candidate.in_set)
            warnings.push_back(fmt::format("member {}: backup {} belongs to no complete backup "
                                           "set; it is complete by itself",
                                           goal.member, plan.backup.number()));
        return plan;
    }
    bool any = false;
    for (const Candidate& candidate : known.backups) {
        if (!fits(*candidate.backup, goal)) continue;
        any = true;
        explain(known, candidate, goal, obstacles);
    }
    if (!any) explain_none(known, goal, obstacles);
    return std::nullopt;
}

MemberPlan Planner::make_plan(MemberFacts& facts, const Candidate& candidate,
                              const MemberGoal& goal) const
{
    const model::Manifest& manifest = candidate.backup->value;
    MemberPlan out;
    out.member = goal.member;
    out.backup = *candidate.backup;
    out.damaged = manifest.is_damaged();
    out.history = goal.history;
    out.target = goal.target;
    out.log_from = manifest.start;
    out.log_to = goal.log_to;
    for (const model::LogRange& range : epoch_ranges(goal.history, out.log_from, out.log_to)) {
        auto cover = choose_cover(facts.usable, range);
        CHECK(cover); // usable() saw a chain that holds the range
        for (LogPiece& piece : *cover) {
            auto named = facts.named.find(piece.key);
            out.stored_bytes += piece.size;
            out.pieces.push_back({.piece = std::move(piece), .sha256 = {}});
            if (named != facts.named.end()) out.pieces.back().sha256 = named->second.object.sha256;
        }
    }
    for (const auto& [epoch, history] : facts.view->histories) {
        bool on_the_way =
            epoch == goal.history.current() ||
            std::any_of(
                goal.history.ancestors().begin(), goal.history.ancestors().end(),
                [&, e = epoch](const model::History::Step& step) { return step.epoch == e; });
        if (epoch != 1 && on_the_way) out.history_files.push_back(epoch);
    }
    out.bytes_to_write = manifest.totals.plain_bytes;
    out.file_bytes = manifest.totals.file_bytes;
    out.log_bytes = out.log_to.offset - out.log_from.offset;
    out.stored_bytes += manifest.page_map.size;
    for (const model::PackRef& pack : manifest.packs)
        out.stored_bytes += pack.size;
    return out;
}

} // namespace tidemark::repo
