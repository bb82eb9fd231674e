#include "model/fixpoint.h"

#include <algorithm>
#include <limits>

namespace tidemark::model {
namespace {

class Search {
public:
    Search(const Known& known, const Partition& partition, std::span<const FixpointStart> starts);

    Fixpoint run();

private:
    void exclude_prepares(std::uint32_t member, std::vector<bool>& lowered);
    void exclude(std::uint32_t prepare, std::vector<bool>& lowered);
    void keep_outside(std::uint32_t commit, std::uint32_t prepare, std::vector<bool>& lowered);

    const Instance& instance(std::uint32_t i) const { return known_.instances.all()[i]; }

    const Known& known_;
    const Partition& partition_;
    std::span<const FixpointStart> starts_;
    /// Commits by group: those of group g are commits_[first_commit_[g]] to
    /// commits_[first_commit_[g+1]].
    std::vector<std::uint32_t> first_commit_;
    std::vector<std::uint32_t> commits_;
    /// By member, in log order; those from the back on are outside already.
    std::vector<std::vector<std::uint32_t>> prepares_;
    /// By group: commits that no sweep proves to be before this stage are dealt with.
    std::vector<int> done_from_;
    Fixpoint result_;
};

Search::Search(const Known& known, const Partition& partition,
               std::span<const FixpointStart> starts)
    : known_(known), partition_(partition), starts_(starts), first_commit_(partition.size() + 1, 0),
      prepares_(starts.size()), done_from_(partition.size(), std::numeric_limits<int>::max())
{
    auto count = static_cast<std::uint32_t>(known.instances.all().size());
    for (std::uint32_t i = 0; i < count; ++i) {
        if (instance(i).finish == Finish::committed) ++first_commit_[partition.group_of[i] + 1];
    }
    for (std::size_t g = 1; g < first_commit_.size(); ++g)
        first_commit_[g] += first_commit_[g - 1];
    commits_.resize(first_commit_.back());
    std::vector<std::uint32_t> next(first_commit_.begin(), first_commit_.end() - 1);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (instance(i).finish == Finish::committed) commits_[next[partition.group_of[i]]++] = i;
        if (!instance(i).seeded && instance(i).finish != Finish::lost) {
            prepares_[instance(i).member].push_back(i);
        }
    }
    auto position = [&](std::uint32_t i) { return instance(i).prepare_start; };
    for (auto& prepares : prepares_) {
        if (!std::ranges::is_sorted(prepares, {}, position))
            std::ranges::sort(prepares, {}, position);
    }
    result_.causes.resize(starts.size());
    result_.refused.resize(starts.size());
    for (const FixpointStart& start : starts)
        result_.cuts.push_back(start.at);
}

Fixpoint Search::run()
{
    std::vector<bool> lowered(starts_.size(), true);
    for (;;) {
        std::vector<bool> next(starts_.size(), false);
        for (std::uint32_t m = 0; m < starts_.size(); ++m) {
            if (lowered[m]) exclude_prepares(m, next);
        }
        if (std::ranges::find(next, true) == next.end()) return std::move(result_);
        ++result_.rounds;
        lowered = std::move(next);
    }
}

void Search::exclude_prepares(std::uint32_t member, std::vector<bool>& lowered)
{
    auto& prepares = prepares_[member];
    while (!prepares.empty() && instance(prepares.back()).prepare_start >= result_.cuts[member]) {
        std::uint32_t prepare = prepares.back();
        prepares.pop_back();
        exclude(prepare, lowered);
    }
}

/// `prepare` lies outside, so its partners' commits must.
void Search::exclude(std::uint32_t prepare, std::vector<bool>& lowered)
{
    std::uint32_t group = partition_.group_of[prepare];
    int began = partition_.certain[group] ? -1 : known_.grouping.lives()[prepare].began;
    if (done_from_[group] <= began) return;
    done_from_[group] = began;
    for (std::uint32_t c = first_commit_[group]; c < first_commit_[group + 1]; ++c) {
        // In a mixed group: a commit before a sweep is no partner of a prepare after a later one.
        if (known_.grouping.lives()[commits_[c]].ended >= began)
            keep_outside(commits_[c], prepare, lowered);
    }
}

void Search::keep_outside(std::uint32_t commit, std::uint32_t prepare, std::vector<bool>& lowered)
{
    std::uint32_t member = instance(commit).member;
    Offset start = instance(commit).finish_start;
    if (start >= result_.cuts[member]) return;
    Fixpoint::Cause cause{.commit = commit, .prepare = prepare};
    if (starts_[member].fixed) {
        if (!result_.refused[member]) result_.refused[member] = cause;
        return;
    }
    result_.cuts[member] = start;
    result_.causes[member] = cause;
    lowered[member] = true;
}

} // namespace

Fixpoint find_fixpoint(const Known& known, const Partition& partition,
                       std::span<const FixpointStart> starts)
{
    return Search(known, partition, starts).run();
}

} // namespace tidemark::model
