#include "model/lost_parts.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace tidemark::model {
namespace {

using Parts = std::vector<std::uint32_t>;

/// Prepared under the same gid at the same member before its log divided: of a use before the lost
/// one, however late it ended.
bool is_former(const Known& known, const Instance& lost, const Instance& part)
{
    return part.member == lost.member && part.prepare_end <= lost.prepare_end &&
           known.instances.branch(part).gid == known.instances.branch(lost).gid;
}

bool lives_touch(const Known& known, const Instance& one, const Instance& other)
{
    auto a = known.grouping.clock_span(one);
    auto b = known.grouping.clock_span(other);
    return a.from <= b.to && b.from <= a.to;
}

class LostFinder {
public:
    LostFinder(const Known& known, std::span<const Offset> at) : known_(known), at_(at) {}

    std::vector<HalfLost> find()
    {
        const auto& all = known_.instances.all();
        std::map<std::uint32_t, Parts> lost; // by id
        for (std::uint32_t i = 0; i < all.size(); ++i)
            if (is_lost(i)) lost[all[i].id].push_back(i);
        if (lost.empty()) return {};
        std::map<std::uint32_t, Parts> there;
        for (std::uint32_t i = 0; i < all.size(); ++i)
            if (!is_lost(i) && lost.contains(all[i].id)) there[all[i].id].push_back(i);
        for (const auto& [id, parts] : there)
            judge_id(parts, lost.at(id));
        return std::move(found_);
    }

private:
    using Key = std::pair<std::uint32_t, std::string>;

    const Instance& instance(std::uint32_t i) const { return known_.instances.all()[i]; }
    std::uint32_t group(std::uint32_t i) const { return known_.grouping.narrow().group_of[i]; }
    Key key(std::uint32_t i) const
    {
        return {instance(i).member, known_.instances.branch(instance(i)).gid};
    }
    bool ended(std::uint32_t i, Finish how) const
    {
        return instance(i).finish == how && finished_inside(instance(i), at_[instance(i).member]);
    }
    bool is_lost(std::uint32_t i) const { return instance(i).finish == Finish::lost; }
    bool committed(std::uint32_t i) const { return ended(i, Finish::committed); }
    bool timed(std::uint32_t i) const
    {
        return known_.grouping.clock_span(instance(i)).from !=
               std::numeric_limits<std::int64_t>::min();
    }

    void judge_id(const Parts& there, const Parts& lost)
    {
        if (is_one_use(there, lost)) {
            judge_use(there, lost);
        } else if (std::ranges::all_of(there, [&](auto i) { return timed(i); })) {
            judge_uses(there, lost);
        } else {
            std::map<std::uint32_t, Parts> groups;
            for (std::uint32_t i : there)
                groups[group(i)].push_back(i);
            for (const auto& [group, parts] : groups)
                judge_together(parts, lost);
        }
    }

    /// No log shows the id used twice: it is one transaction, whatever clocks say.
    bool is_one_use(const Parts& there, const Parts& lost) const
    {
        auto same = [&](std::uint32_t i) { return group(i) == group(there.front()); };
        return known_.grouping.narrow().certain[group(there.front())] &&
               std::ranges::all_of(there, same) && std::ranges::all_of(lost, same);
    }

    /// A part that is lost belongs to the use in which it was prepared, and one without an end to a
    /// later one where that use shows no commit: its coordinator may go on behind the failover.
    void judge_uses(const Parts& there, const Parts& lost)
    {
        Parts pending;
        for (const Parts& use : uses_of(there, lost)) {
            Parts present;
            for (std::uint32_t i : use)
                (is_lost(i) ? pending : present).push_back(i);
            if (judge_use(present, pending)) pending.clear();
            judge_later(present, lost, use);
            std::erase_if(pending, [&](std::uint32_t i) { return !is_endless(instance(i)); });
        }
    }

    /// What began the next use by its member's log, while a part of this one lived: uses do not
    /// overlap, so that part is of the next one, too. But for one that a failover opened again.
    void judge_later(const Parts& present, const Parts& lost, const Parts& use)
    {
        auto span = [&](std::uint32_t i) { return known_.grouping.clock_span(instance(i)); };
        for (std::uint32_t one : lost) {
            if (std::ranges::find(use, one) != use.end()) continue;
            Parts with;
            std::ranges::copy_if(present, std::back_inserter(with), [&](std::uint32_t i) {
                bool lived = span(i).from <= span(one).from && prepared_by(one) <= ended_since(i);
                return lived && instance(i).abandoned_commit.epoch == 0 &&
                       !is_former(known_, instance(one), instance(i));
            });
            judge_use(with, {one});
        }
    }

    /// Uses of an id follow each other, and so do their prepares. One ended where all lives of its
    /// parts did, by clocks; and where a member has prepared the gid again, although a former part
    /// may have ended late, as one that a failover opened again.
    std::vector<Parts> uses_of(const Parts& there, const Parts& lost) const
    {
        constexpr auto kBefore = std::numeric_limits<std::int64_t>::min();
        auto span = [&](std::uint32_t i) { return known_.grouping.clock_span(instance(i)); };
        Parts parts = lost;
        parts.insert(parts.end(), there.begin(), there.end());
        std::ranges::stable_sort(parts, {}, [&](std::uint32_t i) { return span(i).from; });
        std::vector<Parts> uses;
        std::int64_t reach = kBefore, prepared = kBefore;
        for (std::uint32_t i : parts) {
            auto [from, to] = span(i);
            bool anew = from > prepared && !uses.empty() && follows(i, uses.back());
            if (uses.empty() || from > reach || anew) {
                uses.emplace_back();
                reach = kBefore;
            }
            uses.back().push_back(i);
            reach = std::max(reach, is_endless(instance(i)) ? prepared_by(i) : to);
            prepared = std::max(prepared, prepared_by(i));
        }
        return uses;
    }

    /// Its member's log shows that another part of that gid was over before.
    bool follows(std::uint32_t later, const Parts& use) const
    {
        return std::ranges::any_of(use, [&](std::uint32_t i) {
            if (is_lost(i)) return false; // prepared again, perhaps for the same use
            if (is_lost(later)) return is_former(known_, instance(later), instance(i));
            return instance(i).finish_end <= instance(later).prepare_start && key(i) == key(later);
        });
    }

    /// The latest that its prepare, and the earliest that its end, can have been.
    std::int64_t prepared_by(std::uint32_t i) const
    {
        return known_.grouping.clock_span(instance(i)).from + 2 * clock_error(i);
    }
    std::int64_t ended_since(std::uint32_t i) const
    {
        return known_.grouping.clock_span(instance(i)).to - 2 * clock_error(i);
    }

    std::int64_t clock_error(std::uint32_t i) const
    {
        const auto& clock = known_.instances.log(instance(i).member).clock;
        return clock ? clock->error.count() : 0;
    }

    Parts partners(const Parts& parts, const Parts& lost) const
    {
        Parts out;
        std::ranges::copy_if(lost, std::back_inserter(out), [&](std::uint32_t one) {
            return std::ranges::any_of(
                parts, [&](std::uint32_t part) { return may_be_partner(known_, one, part); });
        });
        return out;
    }

    /// A lost part is missed where the use has none of that member and gid. False: the use is
    /// nowhere committed, so nothing can be missed.
    bool judge_use(const Parts& use, const Parts& lost)
    {
        if (std::ranges::none_of(use, [&](auto i) { return committed(i); })) return false;
        std::set<Key> there;
        for (std::uint32_t i : use)
            if (!ended(i, Finish::rolled_back)) there.insert(key(i));
        Parts missing;
        std::ranges::copy_if(lost, std::back_inserter(missing),
                             [&](std::uint32_t i) { return !there.contains(key(i)); });
        if (!missing.empty()) report(use, missing);
        return true;
    }

    /// Without clocks. Nothing is missed where each committed part has a lost one of the same
    /// member and gid, and each lost one such a part that is there: then the id was used anew after
    /// the failover, and that use is whole. (Positions do not tell: a lost part has none.)
    void judge_together(const Parts& parts, const Parts& lost)
    {
        Parts near = partners(parts, lost);
        std::set<Key> gone, done, there;
        for (std::uint32_t i : near)
            gone.insert(key(i));
        for (std::uint32_t i : parts) {
            there.insert(key(i));
            if (committed(i)) done.insert(key(i));
        }
        if (near.empty() || done.empty() ||
            (std::ranges::includes(gone, done) && std::ranges::includes(there, gone)))
            return;
        report(parts, near);
    }

    void report(const Parts& there, const Parts& missing)
    {
        HalfLost& one = found_.emplace_back();
        one.ambiguous = !known_.grouping.narrow().certain[group(there.front())];
        one.parts = there;
        one.parts.insert(one.parts.end(), missing.begin(), missing.end());
        std::ranges::sort(one.parts);
    }

    const Known& known_;
    std::span<const Offset> at_;
    std::vector<HalfLost> found_;
};

} // namespace

std::vector<HalfLost> find_half_lost(const Known& known, std::span<const Offset> at)
{
    return LostFinder(known, at).find();
}

bool may_be_partner(const Known& known, std::uint32_t lost, std::uint32_t part)
{
    const auto& gone = known.instances.all()[lost];
    const auto& there = known.instances.all()[part];
    if (gone.id != there.id || is_former(known, gone, there)) return false;
    const auto& lives = known.grouping.lives();
    if (lives[part].ended < lives[lost].began) return false;
    if (!is_endless(gone) && lives[lost].ended < lives[part].began) return false;
    return lives_touch(known, gone, there);
}

} // namespace tidemark::model
