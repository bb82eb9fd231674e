#include "repo/layout.h"
#include "repo/planner.h"
#include "repo/verify_parts.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>

namespace tidemark::repo {

using Numbers = std::vector<model::Number>;

namespace {

Numbers without(const Numbers& all, const Numbers& some)
{
    Numbers out;
    std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(out));
    return out;
}

bool log_covers(const RepositoryView& view, const MemberView& member, const model::Manifest& backup)
{
    std::vector<LogPiece> usable;
    for (const LogPiece& piece : member.log.pieces)
        if (!view.damaged_objects.contains(piece.key)) usable.push_back(piece);
    for (const model::LogRange& range : epoch_ranges(backup.history, backup.start, backup.stop))
        if (!missing_ranges(usable, range).empty()) return false;
    return true;
}

/// Backups of the member that need the object.
Numbers backups_needing(RepositoryView& view, const MemberView& member, const Key& key,
                        const std::string& object)
{
    Numbers out;
    for (const StoredManifest& backup : member.backups) {
        const model::Manifest& value = backup.value;
        bool named = value.page_map.key == object || backup.object.key == object ||
                     std::any_of(value.packs.begin(), value.packs.end(),
                                 [&](const model::PackRef& pack) { return pack.key == object; });
        if (key.kind == KeyKind::piece) {
            view.damaged_objects.clear();
            bool before = log_covers(view, member, value);
            view.damaged_objects.insert(object);
            named = before && !log_covers(view, member, value);
        }
        if (named) out.push_back(backup.number());
    }
    std::sort(out.begin(), out.end());
    return out;
}

/// Marks that something other than a lost object keeps from being restored, by member and gap.
class Hindered {
public:
    Hindered(const RepositoryView& view, const Numbers& restorable)
    {
        for (const StoredMark& mark : view.marks) {
            if (std::binary_search(restorable.begin(), restorable.end(), mark.number())) continue;
            Planner planner{view, true};
            for (const MemberGoal& goal : goals_of(mark.value, {})) {
                std::vector<Obstacle> obstacles;
                std::vector<std::string> warnings;
                if (planner.plan_member(goal, obstacles, warnings)) continue;
                marks_[goal.member].insert(mark.number());
                for (const Obstacle& obstacle : obstacles)
                    if (obstacle.gap) {
                        auto& found = gaps_[{goal.member, format_range(*obstacle.gap)}];
                        found.first = *obstacle.gap;
                        found.second.insert(mark.number());
                    }
            }
        }
    }

    Numbers of(const std::string& member) const
    {
        auto at = marks_.find(member);
        if (at == marks_.end()) return {};
        return {at->second.begin(), at->second.end()};
    }
    /// By member and text: what is missing, and the marks that miss it.
    using Gaps = std::map<std::pair<std::string, std::string>,
                          std::pair<model::LogRange, std::set<model::Number>>>;
    const Gaps& gaps() const { return gaps_; }

private:
    std::map<std::string, std::set<model::Number>> marks_;
    Gaps gaps_;
};

/// Log that was never stored, and what it costs: a fault, until a newer mark can be restored all
/// the same. Then base backups have healed it, and there is nothing left to do.
void add_gaps(const RepositoryView& view, const model::Tombstone& gone, const Numbers& sound,
              const Hindered& hindered, VerifyReport& report)
{
    for (const auto& [where, found] : hindered.gaps()) {
        const auto& [range, marks] = found;
        if (is_accounted_for(gone, where.first, range)) continue; // retention gave it up
        if (!sound.empty() && sound.back() > *marks.rbegin()) {
            std::vector<std::string> names;
            for (model::Number mark : marks)
                names.push_back(mark_id(mark));
            report.notes.push_back(fmt::format(
                "member {}: log {} is missing, so {} cannot be restored; later base backups "
                "healed it",
                where.first, where.second, fmt::join(names, ", ")));
            continue;
        }
        Fault fault;
        fault.kind = FaultKind::log_gap;
        fault.member = where.first;
        fault.object = log_prefix({view.group, where.first});
        fault.text = fmt::format("log {} is missing", where.second);
        fault.marks.assign(marks.begin(), marks.end());
        report.faults.push_back(std::move(fault));
    }
}

/// Gaps between chains that a later base backup has healed.
void note_gaps(const RepositoryView& view, const model::Tombstone& gone, const Hindered& hindered,
               VerifyReport& report)
{
    for (const auto& [name, member] : view.members) {
        auto mark = std::find_if(view.marks.begin(), view.marks.end(), [&](const StoredMark& one) {
            return std::any_of(one.value.members.begin(), one.value.members.end(),
                               [&](const model::MarkMember& line) { return line.name == name; });
        });
        if (mark == view.marks.end()) continue;
        for (const model::MarkMember& line : mark->value.members) {
            if (line.name != name) continue;
            auto chains = find_chains(member.log.pieces, line.history);
            for (std::size_t i = 1; i < chains.size(); ++i) {
                const model::LogPosition& end = chains[i - 1].end;
                if (is_accounted_for(
                        gone, name,
                        {.epoch = end.epoch, .from = end.offset, .to = chains[i].start.offset}))
                    continue;
                std::string gap = fmt::format("{} to {}", model::format_position(chains[i - 1].end),
                                              model::format_position(chains[i].start));
                if (hindered.of(name).empty())
                    report.notes.push_back(fmt::format(
                        "member {}: log {} is missing; later base backups healed it", name, gap));
            }
        }
    }
}

/// A manifest that is gone does not say from where on it could be used; the set that holds it says
/// when it was begun, and marks from before could never be restored from it.
void drop_older_than_backup(const RepositoryView& view, const std::string& member,
                            model::Number backup, Numbers& marks)
{
    for (const StoredSet& set : view.sets) {
        auto line = set.value.members.find(member);
        if (line == set.value.members.end() || line->second.backup != backup) continue;
        std::erase_if(marks, [&](model::Number number) {
            return std::ranges::any_of(view.marks, [&](const StoredMark& mark) {
                return mark.number() == number && number < set.value.mark &&
                       mark.value.created < set.value.started;
            });
        });
    }
}

bool holds_mark(const RepositoryView& view, model::Number number)
{
    return std::ranges::any_of(view.marks,
                               [&](const StoredMark& mark) { return mark.number() == number; });
}

} // namespace

void weigh(RepositoryView& view, const model::Tombstone& gone, Findings& findings,
           VerifyReport& report)
{
    report.faults = findings.take_faults();
    report.notes = findings.take_notes();
    std::set<std::string> broken;
    view.damaged_objects.clear();
    const Numbers sound = restorable_marks(view);
    const Hindered hindered{view, sound};
    report.marks = view.marks.size();
    for (Fault& fault : report.faults) {
        broken.insert(fault.object);
        auto key = parse_key(fault.object);
        if (!key) continue;
        if (key->kind == KeyKind::mark) {
            fault.marks = {key->number};
            if (!holds_mark(view, key->number)) ++report.marks;
        }
        auto member = view.members.find(fault.member);
        if (member == view.members.end()) continue;
        fault.backups = backups_needing(view, member->second, *key, fault.object);
        view.damaged_objects = {fault.object};
        fault.marks = without(sound, restorable_marks(view));
        if (key->kind == KeyKind::manifest && fault.backups.empty()) {
            fault.backups = {key->number};
            fault.marks = hindered.of(fault.member);
            drop_older_than_backup(view, fault.member, key->number, fault.marks);
        }
    }
    add_gaps(view, gone, sound, hindered, report);
    note_gaps(view, gone, hindered, report);
    view.damaged_objects = std::move(broken);
    report.restorable_marks = restorable_marks(view).size();
}

} // namespace tidemark::repo
