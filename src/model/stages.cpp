#include "model/stages.h"

#include "model/instances.h"

#include <algorithm>

namespace tidemark::model {
namespace {

constexpr Offset OpenTransactions::Member::* kTableSweeps[] = {
    &OpenTransactions::Member::b, &OpenTransactions::Member::r, &OpenTransactions::Member::e};

} // namespace

Stages::Stages(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
               std::span<const Sweep> sweeps)
    : logs_(logs.begin(), logs.end())
{
    if (previous) {
        table_sweeps_ = std::size(kTableSweeps);
        sweeps_.assign(table_sweeps_, Row(logs_.size()));
        std::vector<Offset> inherited;
        std::size_t stayed = 0;
        bool pattern_changed = false;
        for (std::size_t m = 0; m < logs_.size(); ++m) {
            auto found = previous->members.find(logs_[m]->name);
            if (found == previous->members.end()) continue;
            ++stayed;
            const OpenTransactions::Member& table = found->second;
            pattern_changed = pattern_changed || (!table.gid_pattern.empty() &&
                                                  table.gid_pattern != logs_[m]->pattern.text());
            Offset known = known_to(table, logs_[m]->history);
            for (std::size_t s = 0; s < table_sweeps_; ++s) {
                Offset position = table.*kTableSweeps[s];
                if (position <= known) sweeps_[s][m].from = position;
                sweeps_[s][m].to = std::min(position, known);
            }
            if (table.complete_from && known == table.e && logs_[m]->complete_since <= known) {
                inherited.push_back(*table.complete_from);
            }
        }
        partners_unknown_ = stayed < previous->members.size() || pattern_changed;
        if (!partners_unknown_ && inherited.size() == logs_.size())
            inherited_ = std::move(inherited);
    }
    for (const Sweep& sweep : sweeps) {
        Row& row = sweeps_.emplace_back(logs_.size());
        for (std::size_t m = 0; m < logs_.size(); ++m) {
            if (auto found = sweep.find(logs_[m]->name); found != sweep.end())
                row[m] = {.from = found->second, .to = found->second};
        }
    }
}

int Stages::last_before(std::size_t member, Offset start) const
{
    int stage = size() - 1;
    for (; stage >= 0; --stage) {
        const auto& position = sweeps_[static_cast<std::size_t>(stage)][member].from;
        if (position && *position <= start) break;
    }
    return stage;
}

int Stages::first_after(std::size_t member, Offset end) const
{
    int stage = 0;
    for (; stage < size(); ++stage) {
        const auto& position = sweeps_[static_cast<std::size_t>(stage)][member].to;
        if (position && end <= *position) break;
    }
    return stage;
}

std::vector<Offset> Stages::row_values(const Row& row) const
{
    std::vector<Offset> values;
    for (const Bound& bound : row) {
        if (bound.from) values.push_back(*bound.from);
    }
    return values;
}

bool Stages::kept_before(const Row& row) const
{
    for (std::size_t m = 0; m < row.size(); ++m) {
        if (!row[m].from || logs_[m]->complete_since > *row[m].from) return false;
    }
    return true;
}

std::optional<std::vector<Offset>> Stages::complete_from() const
{
    if (inherited_) return inherited_;
    // A branch that a member committed after it had left the group is none of ours to know, nor one
    // that another pattern took for another transaction's and the table left out: only what begins
    // after the last table is complete again.
    std::size_t first = partners_unknown_ ? table_sweeps_ : 0;
    for (std::size_t s = first; s < sweeps_.size(); ++s) {
        bool before_it = (s == table_sweeps_ && kept_before(sweeps_[s])) ||
                         (s > first && kept_before(sweeps_[s - 1]));
        std::vector<Offset> values = row_values(sweeps_[s]);
        if (before_it && values.size() == logs_.size()) return values;
    }
    return std::nullopt;
}

} // namespace tidemark::model
