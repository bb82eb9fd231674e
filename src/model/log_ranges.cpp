#include "model/log_ranges.h"

#include <algorithm>
#include <tuple>

namespace tidemark::model {

namespace {

bool before(const LogRange& a, const LogRange& b)
{
    return std::tie(a.epoch, a.from, a.to) < std::tie(b.epoch, b.from, b.to);
}

bool overlap(const LogRange& a, const LogRange& b)
{
    return a.epoch == b.epoch && a.from < b.to && b.from < a.to;
}

} // namespace

std::vector<LogRange> merge_ranges(std::vector<LogRange> ranges)
{
    std::sort(ranges.begin(), ranges.end(), before);
    std::vector<LogRange> out;
    for (const LogRange& range : ranges) {
        if (range.from >= range.to) continue;
        if (!out.empty() && out.back().epoch == range.epoch && range.from <= out.back().to)
            out.back().to = std::max(out.back().to, range.to);
        else
            out.push_back(range);
    }
    return out;
}

std::vector<LogRange> subtract_ranges(std::vector<LogRange> from, std::vector<LogRange> taken)
{
    std::vector<LogRange> out;
    taken = merge_ranges(std::move(taken));
    auto next = taken.begin();
    for (LogRange range : merge_ranges(std::move(from))) {
        auto passed = [&](const LogRange& one) {
            return one.epoch < range.epoch || (one.epoch == range.epoch && one.to <= range.from);
        };
        while (next != taken.end() && passed(*next))
            ++next;
        for (auto at = next; at != taken.end() && overlap(*at, range); ++at) {
            if (range.from < at->from)
                out.push_back({.epoch = range.epoch, .from = range.from, .to = at->from});
            range.from = at->to;
            if (range.from >= range.to) break;
        }
        if (range.from < range.to) out.push_back(range);
    }
    return out;
}

bool touches(const std::vector<LogRange>& merged, const LogRange& range)
{
    auto after = std::partition_point(merged.begin(), merged.end(), [&](const LogRange& one) {
        return one.epoch < range.epoch || (one.epoch == range.epoch && one.to <= range.from);
    });
    return after != merged.end() && overlap(*after, range);
}

bool covered(const std::vector<LogRange>& merged, const LogRange& range)
{
    return std::any_of(merged.begin(), merged.end(), [&](const LogRange& one) {
        return one.epoch == range.epoch && one.from <= range.from && range.to <= one.to;
    });
}

bool on_history(const History& history, const LogRange& range)
{
    Offset from = 0;
    for (const History::Step& step : history.ancestors()) {
        if (step.epoch == range.epoch) return range.from < step.left_at && from < range.to;
        from = step.left_at;
    }
    return range.epoch == history.current() && from < range.to;
}

} // namespace tidemark::model
