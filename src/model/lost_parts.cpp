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

class LostFinder {
public:
    LostFinder(const Known& known, std::span<const Offset> at) : known_(known), at_(at) {}

    std::vector<HalfLost> find()
    {
        const auto& all = known_.instances.all();
        std::map<std::uint32_t, Parts> lost; // by id
        for (std::uint32_t i = 0; i < all.size(); ++i)
            if (all[i].finish == Finish::lost) lost[all[i].id].push_back(i);
        if (lost.empty()) return {};
        // A lost part without an end may belong to any later use, whichever group it stands in.
        std::map<std::pair<std::uint32_t, std::uint32_t>, Parts> there;
        for (std::uint32_t i = 0; i < all.size(); ++i)
            if (all[i].finish != Finish::lost && lost.contains(all[i].id))
                there[{all[i].id, group(i)}].push_back(i);
        for (const auto& [where, parts] : there)
            judge(parts, lost.at(where.first));
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
    bool committed(std::uint32_t i) const { return ended(i, Finish::committed); }
    bool timed(std::uint32_t i) const
    {
        return known_.grouping.clock_span(instance(i)).from !=
               std::numeric_limits<std::int64_t>::min();
    }

    void judge(const Parts& parts, const Parts& lost)
    {
        if (std::ranges::none_of(parts, [&](auto i) { return committed(i); })) return;
        if (!std::ranges::all_of(parts, [&](auto i) { return timed(i); })) {
            judge_together(parts, lost);
            return;
        }
        for (const Parts& use : uses_of(parts))
            judge_use(use, lost);
    }

    /// What is there of one group, told apart by clocks: a part that is lost belongs to one of its
    /// uses, and says nothing of the others.
    std::vector<Parts> uses_of(Parts parts) const
    {
        auto span = [&](std::uint32_t i) { return known_.grouping.clock_span(instance(i)); };
        std::ranges::sort(parts, {}, [&](std::uint32_t i) { return span(i).from; });
        std::vector<Parts> uses;
        auto reach = std::numeric_limits<std::int64_t>::min();
        for (std::uint32_t i : parts) {
            if (uses.empty() || span(i).from > reach) uses.emplace_back();
            uses.back().push_back(i);
            reach = std::max(reach, span(i).to);
        }
        return uses;
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

    /// A lost part is missed where the use has none of that member and gid: else it was prepared
    /// again, or belongs to another use.
    void judge_use(const Parts& use, const Parts& lost)
    {
        if (std::ranges::none_of(use, [&](auto i) { return committed(i); })) return;
        std::set<Key> there;
        for (std::uint32_t i : use)
            if (!ended(i, Finish::rolled_back)) there.insert(key(i));
        Parts missing = partners(use, lost);
        std::erase_if(missing, [&](std::uint32_t i) { return there.contains(key(i)); });
        if (!missing.empty()) report(use, missing);
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
        if (near.empty() ||
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
    if (gone.id != there.id) return false;
    const auto& lives = known.grouping.lives();
    if (lives[part].ended < lives[lost].began) return false;
    if (!is_endless(gone) && lives[lost].ended < lives[part].began) return false;
    auto a = known.grouping.clock_span(gone);
    auto b = known.grouping.clock_span(there);
    return a.from <= b.to && b.from <= a.to;
}

} // namespace tidemark::model
