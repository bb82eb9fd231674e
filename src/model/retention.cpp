#include "model/retention.h"

#include "model/log_ranges.h"
#include "model/retention_events.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::model {

namespace {

std::string days(int count)
{
    return fmt::format("{} day{}", count, count == 1 ? "" : "s");
}

class Judge {
public:
    explicit Judge(const RetentionInput& input)
        : in_(input), cutoff_(input.now - std::chrono::hours{24} * input.policy.keep_days)
    {
        for (const RetentionMark& mark : in_.marks)
            marks_.emplace(mark.number, &mark);
        for (const RetentionSet& set : in_.sets)
            sets_.emplace(set.number, &set);
    }

    RetentionPlan run()
    {
        judge_window();
        judge_pillars();
        for (const auto& [name, member] : in_.members)
            judge_backups(name, member);
        keep_what_is_read();
        close_over_sets();
        keep_proofs();
        for (const auto& [name, member] : in_.members)
            judge_log(name, member);
        judge_sets();
        plan_.runs = judge_events(in_, in_.runs, in_.policy.runs, plan_.marks);
        plan_.drills = judge_events(in_, in_.drills, in_.policy.drills, plan_.marks);
        return std::move(plan_);
    }

private:
    void keep(Number number, const std::string& why)
    {
        Fate& fate = plan_.marks[number];
        if (!fate.stays) fate = {true, why};
        needing_.insert(number);
    }

    /// The slot of time in which one mark is enough; nothing for marks that are too young.
    std::optional<std::pair<base::Duration, std::int64_t>> bucket(base::Time created) const
    {
        auto within =
            [&](base::Duration width,
                base::Duration limit) -> std::optional<std::pair<base::Duration, std::int64_t>> {
            auto since = created.time_since_epoch();
            std::int64_t index = since / width - (since % width < base::Duration{0} ? 1 : 0);
            // Only when all of it is that old: so its newest mark does not change any more.
            if (base::Time{width * (index + 1)} > in_.now - limit) return std::nullopt;
            return std::pair{width, index};
        };
        if (auto day = within(std::chrono::hours{24}, in_.policy.keep_hourly)) return day;
        return within(std::chrono::hours{1}, in_.policy.keep_all);
    }

    void judge_window()
    {
        std::map<std::pair<base::Duration, std::int64_t>, const RetentionMark*> best;
        for (const auto& [number, mark] : marks_) {
            auto slot = bucket(mark->created);
            if (!slot || mark->created < cutoff_ || mark->moment) continue;
            const RetentionMark*& so_far = best[*slot];
            if (so_far == nullptr || mark->restorable || !so_far->restorable) so_far = mark;
        }
        for (const auto& [number, mark] : marks_) {
            auto slot = bucket(mark->created);
            if (mark->created < cutoff_) {
                plan_.marks[number] = {false, "older than " + days(in_.policy.keep_days)};
            } else if (!slot) {
                keep(number, "young: every mark stays");
            } else if (mark->moment) {
                keep(number, "a moment that was recorded");
            } else if (best[*slot] == mark) {
                keep(number, slot->first == std::chrono::hours{1} ? "the one of its hour"
                                                                  : "the one of its day");
            } else if (mark->named) {
                keep(number, "it has a name");
            } else {
                plan_.marks[number] = {
                    false, fmt::format("thinned: m-{} stays for its {}", best[*slot]->number,
                                       slot->first == std::chrono::hours{1} ? "hour" : "day")};
            }
        }
        // A moment may lie long before: what lies between need not stay for it.
        for (Number number : needing_)
            if (!marks_.at(number)->moment) window_.insert(number);
    }

    /// What stays whatever its age.
    void judge_pillars()
    {
        for (const auto& [number, why] : in_.held)
            if (marks_.contains(number)) keep(number, why);
        for (const RetentionReader& reader : in_.readers) {
            if (reader.mark && marks_.contains(*reader.mark)) keep(*reader.mark, reader.why);
            if (!reader.everything) continue;
            for (const auto& [number, mark] : marks_)
                keep(number, reader.why);
        }
        if (marks_.empty()) return;
        keep(marks_.rbegin()->first, "the newest mark");
        auto newest = [&](auto fits) -> std::optional<Number> {
            for (auto at = marks_.rbegin(); at != marks_.rend(); ++at)
                if (at->second->restorable && fits(at->first)) return at->first;
            return std::nullopt;
        };
        std::set<Number> complete;
        for (const auto& [number, set] : sets_)
            complete.insert(set->mark);
        if (auto mark = newest([&](Number one) { return !marks_.at(one)->moment; })) {
            keep(*mark, "the newest restorable mark");
            window_.insert(*mark);
            anything_restorable_ = true;
        }
        if (auto mark = newest([&](Number number) { return complete.contains(number); })) {
            keep(*mark, "the newest restorable set");
            window_.insert(*mark);
        }
        if (auto mark = newest([&](Number number) { return in_.proven.contains(number); }))
            keep(*mark, "the newest proven mark");
    }

    void judge_backups(const std::string& name, const RetentionMember& member)
    {
        auto& fates = plan_.members[name].backups;
        Number newest = 0;
        for (const RetentionBackup& backup : member.backups)
            newest = std::max(newest, backup.number);
        for (const RetentionBackup& backup : member.backups) {
            Fate& fate = fates[backup.number];
            if (backup.number == newest && !member.left)
                fate = {true, "the newest base backup"};
            else if (backup.stand_in && is_left_over(name, backup, in_.policy.keep_repeated))
                fate = {false, fmt::format("no backup set names it, and b-{} with the log since "
                                           "stands in for it",
                                           *backup.stand_in)};
            else if (!anything_restorable_)
                fate = {true, "no mark is restorable now"};
            else if (is_left_over(name, backup, in_.policy.keep_unclosed))
                fate = {false, "no backup set names it, and no mark that stays needs it"};
            else if (backup.ended >= cutoff_)
                fate = {true, "younger than " + days(in_.policy.keep_days)};
            else
                fate = {false, fmt::format("older than {}, and no mark that stays needs it",
                                           days(in_.policy.keep_days))};
        }
        for (Number number : needing_)
            keep_needed(number);
    }

    /// One that was finished before another member's failed: each try would leave one more.
    bool is_left_over(const std::string& name, const RetentionBackup& backup,
                      base::Duration age) const
    {
        if (in_.closing || backup.ended > in_.now - age) return false;
        return std::none_of(sets_.begin(), sets_.end(), [&](const auto& one) {
            auto named = one.second->backups.find(name);
            return named != one.second->backups.end() && named->second == backup.number;
        });
    }

    void keep_what_is_read()
    {
        for (const RetentionReader& reader : in_.readers) {
            for (auto& [name, fates] : plan_.members) {
                auto reads = reader.reads.find(name);
                for (auto& [number, fate] : fates.backups) {
                    bool named =
                        reads != reader.reads.end() &&
                        std::find(reads->second.backups.begin(), reads->second.backups.end(),
                                  number) != reads->second.backups.end();
                    if ((named || reader.everything) && !fate.stays) fate = {true, reader.why};
                }
            }
        }
    }

    /// The log that somebody reads, and why nothing of it goes; `all` when that is not known.
    struct Reading {
        std::vector<LogRange> log;
        bool all = false;
    };
    Reading read_log(const std::string& name) const
    {
        Reading out;
        for (const RetentionReader& reader : in_.readers) {
            out.all = out.all || reader.everything;
            auto reads = reader.reads.find(name);
            if (reads == reader.reads.end()) continue;
            out.log.insert(out.log.end(), reads->second.log.begin(), reads->second.log.end());
        }
        out.log = merge_ranges(std::move(out.log));
        return out;
    }

    /// The base backups of a mark that stays. True when that changed something.
    bool keep_needed(Number mark)
    {
        bool changed = false;
        for (const auto& [name, need] : marks_.at(mark)->needs) {
            auto member = plan_.members.find(name);
            if (!need.backup || member == plan_.members.end()) continue;
            auto fate = member->second.backups.find(*need.backup);
            if (fate == member->second.backups.end() || fate->second.stays) continue;
            fate->second = {true, fmt::format("m-{} needs it", mark)};
            changed = true;
        }
        return changed;
    }

    /// A base backup stays with its set, and with the mark that closes it.
    void close_over_sets()
    {
        for (bool changed = true; changed;) {
            changed = false;
            for (const auto& [number, set] : sets_) {
                if (!holds_backup(*set) || !marks_.contains(set->mark)) continue;
                if (!needing_.insert(set->mark).second) continue;
                Fate& fate = plan_.marks[set->mark];
                fate = {true, fmt::format("closes s-{}, whose base backups stay", number)};
                changed = true;
                keep_needed(set->mark);
            }
        }
    }

    bool holds_backup(const RetentionSet& set) const
    {
        return std::any_of(set.backups.begin(), set.backups.end(), [&](const auto& one) {
            auto member = plan_.members.find(one.first);
            if (member == plan_.members.end()) return false;
            auto fate = member->second.backups.find(one.second);
            return fate != member->second.backups.end() && fate->second.stays;
        });
    }

    /// The table of the mark before it belongs to a mark's proof (`audit`); not the other way on.
    void keep_proofs()
    {
        for (Number number : needing_) {
            auto previous = marks_.at(number)->previous;
            if (!previous || !marks_.contains(*previous)) continue;
            Fate& fate = plan_.marks[*previous];
            if (!fate.stays)
                fate = {true, fmt::format("the proof of m-{} continues from it", number)};
        }
    }

    std::vector<LogRange> needed_log(const std::string& name, const std::set<Number>& of) const
    {
        std::vector<LogRange> out;
        for (Number number : of) {
            auto need = marks_.at(number)->needs.find(name);
            if (need == marks_.at(number)->needs.end()) continue;
            out.insert(out.end(), need->second.log.begin(), need->second.log.end());
        }
        return merge_ranges(std::move(out));
    }

    void judge_log(const std::string& name, const RetentionMember& member)
    {
        MemberFates& fates = plan_.members[name];
        const auto needed = needed_log(name, needing_);
        // From the first byte that a mark of the window needs on, the log is kept without a hole:
        // moments between marks can be restored, too.
        std::optional<Offset> floor;
        for (const LogRange& range : needed_log(name, window_))
            if (on_history(member.history, range))
                floor = std::min(floor.value_or(range.from), range.from);
        std::vector<LogRange> joined;
        for (const RetentionPiece& piece : member.pieces)
            if (piece.joined) joined.push_back(piece.range);
        joined = merge_ranges(std::move(joined));
        const Reading reading = read_log(name);
        std::vector<LogRange> stay, go;
        for (const RetentionPiece& piece : member.pieces) {
            Fate fate = judge_piece(piece, member, needed, floor);
            if (!piece.joined && covered(joined, piece.range))
                fate = {false, "joined with its neighbours into a larger piece"};
            // Whoever reads looked up its pieces at the start; a larger one is no help to it.
            if (!fate.stays && (reading.all || touches(reading.log, piece.range)))
                fate = {true, "somebody reads it"};
            (fate.stays ? stay : go).push_back(piece.range);
            fates.pieces[piece.key] = std::move(fate);
        }
        fates.given_up = subtract_ranges(std::move(go), std::move(stay));
    }

    Fate judge_piece(const RetentionPiece& piece, const RetentionMember& member,
                     const std::vector<LogRange>& needed, std::optional<Offset> floor) const
    {
        bool settled = member.settled && (piece.range.epoch < member.settled->epoch ||
                                          (piece.range.epoch == member.settled->epoch &&
                                           piece.range.to <= member.settled->offset));
        if (!anything_restorable_) return {true, "no mark is restorable now"};
        if (!settled && !member.left) return {true, "no backup set names it yet"};
        if (touches(needed, piece.range)) return {true, "a mark that stays needs it"};
        bool current = on_history(member.history, piece.range);
        if (current && (floor ? piece.range.to > *floor : !member.left))
            return {true, "between marks that stay"};
        if (!current && piece.stored >= cutoff_)
            return {true, "an abandoned branch, younger than " + days(in_.policy.keep_days)};
        return {false, "no mark that stays needs it"};
    }

    void judge_sets()
    {
        std::size_t newer = sets_.size();
        for (const auto& [number, set] : sets_) {
            Fate& fate = plan_.sets[number];
            auto mark = plan_.marks.find(set->mark);
            if (newer-- == 1)
                fate = {true, "the newest set"};
            else if (holds_backup(*set))
                fate = {true, "base backups of it stay"};
            else if (mark != plan_.marks.end() && needing_.contains(set->mark))
                fate = {true, fmt::format("m-{} stays: {}", set->mark, mark->second.why)};
            else if (names_kept_log(*set))
                fate = {true, "log that only it names is still needed"};
            else if (mark == plan_.marks.end())
                fate = {false, "its mark is gone"};
            else if (mark->second.stays)
                fate = {false, fmt::format("m-{} stays as a proof only", set->mark)};
            else
                fate = {false, fmt::format("m-{} goes: {}", set->mark, mark->second.why)};
        }
    }

    /// A piece's hash stands in the set that named it, until the piece is joined.
    bool names_kept_log(const RetentionSet& set) const
    {
        for (const auto& [name, keys] : set.pieces) {
            auto member = plan_.members.find(name);
            if (member == plan_.members.end()) continue;
            for (const std::string& key : keys) {
                auto fate = member->second.pieces.find(key);
                if (fate != member->second.pieces.end() && fate->second.stays) return true;
            }
        }
        return false;
    }

    const RetentionInput& in_;
    base::Time cutoff_;
    std::map<Number, const RetentionMark*> marks_;
    std::map<Number, const RetentionSet*> sets_;
    std::set<Number> needing_; ///< marks whose backups and log stay
    std::set<Number> window_;  ///< those among them between which nothing is missing
    bool anything_restorable_ = false;
    RetentionPlan plan_;
};

} // namespace

RetentionPlan plan_retention(const RetentionInput& input)
{
    return Judge{input}.run();
}

} // namespace tidemark::model
