#include "model/known.h"

#include "base/error.h"
#include "model/lost_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <unordered_map>

namespace tidemark::model {
namespace {

/// By group: some instance of it ended, provably by sweeps, before another began. Later marks do
/// not have these sweeps, so it is carried that they are not all of one transaction.
std::vector<bool> proven_apart(const Known& known)
{
    const auto& lives = known.grouping.lives();
    const auto& groups = known.grouping.narrow();
    std::vector<int> last_began(groups.size(), std::numeric_limits<int>::min());
    std::vector<int> first_ended(groups.size(), std::numeric_limits<int>::max());
    for (std::size_t i = 0; i < lives.size(); ++i) {
        if (is_endless(known.instances.all()[i])) continue; // its transaction may go on
        auto group = groups.group_of[i];
        last_began[group] = std::max<int>(last_began[group], lives[i].began);
        first_ended[group] = std::min<int>(first_ended[group], lives[i].ended);
    }
    std::vector<bool> out(groups.size());
    for (std::size_t group = 0; group < out.size(); ++group)
        out[group] = first_ended[group] < last_began[group];
    return out;
}

/// Whoever has not committed the rest of a transaction by then does not any more.
constexpr std::chrono::hours kLostPatience{7 * 24};

/// The branches of one group that a later mark may still ask about.
class Carrier {
public:
    Carrier(const Known& known, std::span<const Offset> cuts, base::Time now)
        : known_(known), cuts_(cuts), now_(now), live_(known.grouping.narrow().size())
    {
        const auto& all = known.instances.all();
        for (const Instance& instance : all)
            if (is_endless(instance) && instance.matched) commits_[instance.id];
        for (std::uint32_t i = 0; i < all.size(); ++i) {
            if (over(i)) {
                if (!commits_.empty()) take_commit(i);
                continue;
            }
            Live& live = live_[group(i)];
            live.any = true;
            live.began = std::min<int>(live.began, known.grouping.lives()[i].began);
            live.clock = std::min(live.clock, known.grouping.clock_span(all[i]).from);
        }
    }

    bool carries(std::uint32_t i) const
    {
        const Live& live = live_[group(i)];
        if (waits(i)) return true;
        if (!live.any) return false;
        if (known_.grouping.narrow().certain[group(i)] || !over(i)) return true;
        // Of an id in constant use: only what some unfinished branch may belong to.
        return known_.grouping.lives()[i].ended >= live.began &&
               known_.grouping.clock_span(known_.instances.all()[i]).to >= live.clock;
    }

private:
    struct Live {
        bool any = false;
        int began = std::numeric_limits<int>::max();
        std::int64_t clock = std::numeric_limits<std::int64_t>::max();
    };

    void take_commit(std::uint32_t i)
    {
        const Instance& instance = known_.instances.all()[i];
        if (instance.finish != Finish::committed) return;
        if (auto asked = commits_.find(instance.id); asked != commits_.end())
            asked->second.push_back(i);
    }

    std::uint32_t group(std::uint32_t i) const { return known_.grouping.narrow().group_of[i]; }
    bool over(std::uint32_t i) const
    {
        const Instance& instance = known_.instances.all()[i];
        return finished_inside(instance, cuts_[instance.member]);
    }

    /// A lost branch whose partners may still be prepared and committed elsewhere: whoever
    /// coordinates need not know of the failover (rules.md 13). A commit that may be theirs has
    /// been judged by this mark. Nothing else is kept for its sake.
    bool waits(std::uint32_t i) const
    {
        const Instance& instance = known_.instances.all()[i];
        if (!is_endless(instance) || !instance.matched) return false;
        if (now_ != base::Time{} && instance.prepared_at < now_ - kLostPatience) return false;
        auto commits = commits_.find(instance.id);
        return commits == commits_.end() ||
               std::ranges::none_of(commits->second, [&](std::uint32_t commit) {
                   return may_be_partner(known_, i, commit);
               });
    }

    const Known& known_;
    std::span<const Offset> cuts_;
    base::Time now_;
    std::vector<Live> live_;
    /// Inside, of the ids of endless lost branches: nobody asks for others, and these are few.
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> commits_;
};

} // namespace

Known::Known(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
             std::span<const Sweep> sweeps, std::span<const Offset> limits)
    : instances(logs, previous, limits), stages(logs, previous, sweeps),
      grouping(instances, stages), complete_from(stages.complete_from())
{
}

void check_names(std::span<const MemberLog* const> logs)
{
    if (logs.empty()) throw base::Error{base::Code::usage, "the group has no members"};
    std::set<std::string_view> names;
    for (const MemberLog* log : logs) {
        if (!names.insert(log->name).second) {
            throw base::Error{base::Code::failed,
                              fmt::format("member {} is listed twice", log->name)};
        }
    }
}

OpenTransactions carry(const Known& known, std::span<const Offset> cuts,
                       std::map<std::string, OpenTransactions::Member> members, base::Time now)
{
    OpenTransactions table{.members = std::move(members)};
    int last_unknown_ended = kNoStage;
    for (const auto& [member, finish] : known.instances.unknown_finishes()) {
        if (!finish.committed) continue;
        last_unknown_ended =
            std::max(last_unknown_ended, known.stages.first_after(member, finish.end));
        if (finish.end > cuts[member]) table.unknown_finishes.push_back(finish);
    }
    Carrier carrier(known, cuts, now);
    auto apart = proven_apart(known);
    const auto& all = known.instances.all();
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        if (!carrier.carries(i)) continue;
        Branch& branch = table.branches.emplace_back(known.instances.branch(all[i]));
        branch.commit_unseen =
            branch.commit_unseen || last_unknown_ended >= known.grouping.lives()[i].began;
        auto group = known.grouping.narrow().group_of[i];
        branch.id_mixed = !known.grouping.narrow().certain[group] || apart[group];
    }
    std::ranges::sort(table.branches, {}, [](const Branch& branch) {
        return std::tie(branch.member, branch.prepare_start, branch.xid);
    });
    if (known.complete_from) {
        for (std::size_t m = 0; m < known.instances.member_count(); ++m) {
            table.members[known.instances.log(m).name].complete_from = (*known.complete_from)[m];
        }
    }
    return table;
}

} // namespace tidemark::model
