#include "model/grouping.h"

#include <algorithm>

namespace tidemark::model {
namespace {

/// Keeps sums of times from foreign bytes away from overflow.
std::int64_t bounded(std::int64_t microseconds)
{
    constexpr std::int64_t kBound = std::int64_t{1} << 60;
    return std::clamp(microseconds, -kBound, kBound);
}

std::int64_t bounded(base::Duration duration)
{
    return bounded(duration.count());
}

/// The first sweep that came after the prepare. What was listed as prepared was so before the
/// sweeps that followed the listing.
int prepared_by(const Instance& instance, const Stages& stages)
{
    if (!instance.seeded) return stages.first_after(instance.member, instance.prepare_end);
    if (instance.carried) return -1;
    if (instance.seed) return stages.first_new() - 1;
    return stages.first_after(instance.member, instance.finish_start);
}

} // namespace

Grouping::Grouping(const Instances& instances, const Stages& stages)
    : instances_(instances), uses_(instances.member_count())
{
    const auto& all = instances.all();
    lives_.reserve(all.size());
    std::vector<std::uint32_t> first(instances.ids().size() + 1, 0);
    for (const Instance& instance : all) {
        Life life;
        life.began = static_cast<std::int16_t>(
            instance.seeded ? -1 : stages.last_before(instance.member, instance.prepare_start));
        life.prepared = static_cast<std::int16_t>(prepared_by(instance, stages));
        life.ended = static_cast<std::int16_t>(
            instance.finish == Finish::open
                ? stages.size()
                : stages.first_after(instance.member, instance.finish_end));
        lives_.push_back(life);
        ++first[instance.id + 1];
    }
    for (std::size_t id = 1; id < first.size(); ++id)
        first[id] += first[id - 1];
    std::vector<std::uint32_t> by_id(all.size());
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (std::uint32_t i = 0; i < all.size(); ++i)
        by_id[next[all[i].id]++] = i;

    wide_.group_of.resize(all.size());
    narrow_.group_of.resize(all.size());
    for (std::size_t id = 0; id + 1 < first.size(); ++id) {
        if (first[id + 1] > first[id]) {
            group_id(Slice(by_id).subspan(first[id], first[id + 1] - first[id]));
        }
    }
}

std::uint32_t Grouping::add_group(Partition& partition, Slice slice, bool certain)
{
    auto group = static_cast<std::uint32_t>(partition.size());
    partition.certain.push_back(certain);
    for (std::uint32_t i : slice)
        partition.group_of[i] = group;
    return group;
}

void Grouping::group_id(Slice slice)
{
    if (used_again(slice)) {
        group_wide(slice);
        return;
    }
    add_group(wide_, slice, true);
    add_group(narrow_, slice, true);
}

void Grouping::group_wide(Slice slice)
{
    std::ranges::sort(slice, {}, [&](std::uint32_t i) { return lives_[i].began; });
    std::size_t begin = 0;
    std::int16_t reach = lives_[slice[0]].ended;
    for (std::size_t i = 1; i <= slice.size(); ++i) {
        if (i < slice.size() && lives_[slice[i]].began <= reach) {
            reach = std::max(reach, lives_[slice[i]].ended);
            continue;
        }
        Slice part = slice.subspan(begin, i - begin);
        if (mixed(part)) {
            add_group(wide_, part, false);
            group_narrow(part);
        } else {
            add_group(wide_, part, true);
            add_group(narrow_, part, true);
        }
        if (i == slice.size()) break;
        begin = i;
        reach = lives_[slice[i]].ended;
    }
}

void Grouping::group_narrow(Slice slice)
{
    const auto& all = instances_.all();
    std::ranges::sort(slice, {}, [&](std::uint32_t i) { return clock_span(all[i]).from; });
    std::size_t begin = 0;
    std::int64_t reach = reach_of(all[slice[0]]);
    for (std::size_t i = 1; i <= slice.size(); ++i) {
        if (i < slice.size()) {
            std::int64_t to = reach_of(all[slice[i]]);
            if (clock_span(all[slice[i]]).from <= reach) {
                reach = std::max(reach, to);
                continue;
            }
            reach = to;
        }
        Slice part = slice.subspan(begin, i - begin);
        add_group(narrow_, part, !mixed(part));
        begin = i;
    }
}

/// A lost branch without an end holds no two later uses together: what it is missed by is asked of
/// each of them (lost_parts.h).
std::int64_t Grouping::reach_of(const Instance& instance) const
{
    ClockSpan span = clock_span(instance);
    if (!is_endless(instance) || span.from == std::numeric_limits<std::int64_t>::min())
        return span.to;
    return span.from + 2 * bounded(instances_.log(instance.member).clock->error);
}

bool Grouping::mixed(Slice slice)
{
    return used_again(slice) || proven_apart(slice);
}

/// Does one log show that an instance ended before another of the slice was prepared? Or did a log
/// show it when an earlier mark was placed?
bool Grouping::used_again(Slice slice)
{
    const auto& all = instances_.all();
    for (std::uint32_t i : slice)
        uses_[all[i].member] = {};
    bool again = false;
    for (std::uint32_t i : slice) {
        Use& use = uses_[all[i].member];
        use.last_prepare = std::max(use.last_prepare, all[i].prepare_start);
        use.first_finish = std::min(use.first_finish, all[i].finish_end);
        again = again || all[i].id_mixed || use.last_prepare >= use.first_finish;
    }
    return again;
}

bool Grouping::proven_apart(Slice slice) const
{
    auto last_began = std::numeric_limits<std::int16_t>::min();
    auto first_ended = std::numeric_limits<std::int16_t>::max();
    for (std::uint32_t i : slice) {
        if (is_endless(instances_.all()[i])) continue;
        last_began = std::max(last_began, lives_[i].began);
        first_ended = std::min(first_ended, lives_[i].ended);
    }
    return first_ended < last_began;
}

Grouping::ClockSpan Grouping::clock_span(const Instance& instance) const
{
    ClockSpan span;
    const auto& clock = instances_.log(instance.member).clock;
    if (!clock) return span;
    auto ours = [&](base::Time time) {
        return bounded(time.time_since_epoch().count()) - bounded(clock->offset);
    };
    if (instance.prepared_at != base::Time{}) {
        span.from = ours(instance.prepared_at) - bounded(clock->error);
    }
    bool dated = instance.finish == Finish::committed || instance.finish == Finish::rolled_back ||
                 instance.finish == Finish::lost;
    if (dated && instance.finished_at != base::Time{}) {
        span.to = ours(instance.finished_at) + bounded(clock->error);
    }
    return span;
}

} // namespace tidemark::model
