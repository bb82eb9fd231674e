#include "model/evaluate.h"

#include "base/error.h"
#include "model/known.h"
#include "model/lost_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace tidemark::model {
namespace {

/// Finished parts listed of an id that was used too often to tell its uses apart.
constexpr std::size_t kMaxFinishedParts = 16;

StateAt state_at(const Instance& instance, Offset at)
{
    if (instance.finish == Finish::lost) return StateAt::lost;
    if (!instance.seeded && instance.prepare_end > at) return StateAt::absent;
    if (!finished_inside(instance, at)) return StateAt::in_doubt;
    switch (instance.finish) {
    case Finish::committed:
        return StateAt::committed;
    case Finish::rolled_back:
        return StateAt::rolled_back;
    default:
        return StateAt::finished_unseen;
    }
}

constexpr unsigned bit(StateAt state)
{
    return 1U << static_cast<unsigned>(state);
}

bool has(unsigned states, StateAt state)
{
    return (states & bit(state)) != 0;
}

class Evaluator {
public:
    Evaluator(const Known& known, std::span<const Offset> at)
        : known_(known), at_(at), partition_(known.grouping.narrow())
    {
    }

    Evaluation run();

private:
    using Parts = std::vector<std::uint32_t>;

    StateAt state(std::uint32_t i) const { return state_at(instance(i), at_[instance(i).member]); }
    const Instance& instance(std::uint32_t i) const { return known_.instances.all()[i]; }
    const std::string& member(const Instance& instance) const
    {
        return known_.instances.log(instance.member).name;
    }
    LogPosition finish_position(const Instance& instance) const
    {
        return {known_.instances.finish_epoch(instance), instance.finish_start};
    }

    /// Prepared when the logs of all members were already kept.
    bool since_complete(const Instance& part) const
    {
        const auto& complete = known_.complete_from;
        return complete && !part.seeded && part.prepare_start >= (*complete)[part.member];
    }

    void take_unknown_finishes();
    std::vector<Parts> interesting_groups();
    void judge(const Parts& parts);
    TransactionAt describe(const Parts& parts, bool certain) const;
    Verdict verdict(const Parts& parts, bool certain) const;
    Verdict without_commit(const Parts& parts) const;
    const Instance* abandoned_commit(const Parts& parts) const;
    const Instance* any_commit(const Parts& parts) const;
    const Instance* shared_commit(const Parts& parts) const;
    const Instance* possible_commit(const Parts& parts) const;

    const Known& known_;
    std::span<const Offset> at_;
    const Partition& partition_;
    const UnknownFinish* last_unknown_commit_ = nullptr;
    int last_unknown_ended_ = kNoStage;
    Evaluation result_;
};

Evaluation Evaluator::run()
{
    take_unknown_finishes();
    for (const Parts& parts : interesting_groups())
        judge(parts);
    for (const HalfLost& one : find_half_lost(known_, at_))
        result_.lost.push_back(describe(one.parts, !one.ambiguous));
    std::ranges::sort(result_.ambiguous_ids);
    auto same = std::ranges::unique(result_.ambiguous_ids);
    result_.ambiguous_ids.erase(same.begin(), same.end());
    return std::move(result_);
}

void Evaluator::take_unknown_finishes()
{
    for (const auto& [member, finish] : known_.instances.unknown_finishes()) {
        if (finish.end > at_[member]) continue;
        result_.unknown_finishes.push_back(finish);
        int ended = known_.stages.first_after(member, finish.end);
        if (finish.committed && ended > last_unknown_ended_) {
            last_unknown_ended_ = ended;
            last_unknown_commit_ = &finish;
        }
    }
}

/// The instances of each group that has something to tell, groups in order of their first instance.
std::vector<Evaluator::Parts> Evaluator::interesting_groups()
{
    auto count = static_cast<std::uint32_t>(known_.instances.all().size());
    std::vector<std::uint8_t> states(partition_.size(), 0);
    for (std::uint32_t i = 0; i < count; ++i) {
        auto& seen = states[partition_.group_of[i]];
        seen = static_cast<std::uint8_t>(seen | bit(state(i)));
    }
    auto interesting = [](unsigned seen) {
        return has(seen, StateAt::in_doubt) ||
               (has(seen, StateAt::committed) &&
                (seen & (bit(StateAt::absent) | bit(StateAt::rolled_back))));
    };
    constexpr std::uint32_t kNone = ~0U;
    std::vector<std::uint32_t> place(partition_.size(), kNone);
    std::vector<Parts> groups;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t group = partition_.group_of[i];
        if (!interesting(states[group])) continue;
        if (place[group] == kNone) {
            place[group] = static_cast<std::uint32_t>(groups.size());
            groups.emplace_back();
        }
        groups[place[group]].push_back(i);
    }
    return groups;
}

void Evaluator::judge(const Parts& parts)
{
    unsigned seen = 0;
    for (std::uint32_t i : parts)
        seen |= bit(state(i));
    bool certain = partition_.certain[partition_.group_of[parts.front()]];
    TransactionAt transaction = describe(parts, certain);
    if (has(seen, StateAt::committed)) {
        if (certain && has(seen, StateAt::absent)) result_.torn.push_back(transaction);
        if (certain && has(seen, StateAt::rolled_back)) result_.damaged.push_back(transaction);
    }
    if (!has(seen, StateAt::in_doubt)) return;
    Verdict decided = verdict(parts, certain);
    if (decided.reason == Reason::ambiguous_id)
        result_.ambiguous_ids.push_back(transaction.global_id);
    for (std::uint32_t i : parts) {
        if (state(i) != StateAt::in_doubt) continue;
        InDoubt& entry = result_.in_doubt.emplace_back();
        entry.branch = known_.instances.branch(instance(i));
        entry.verdict = decided;
        entry.differs_from_production =
            decided.decision == Decision::commit && entry.branch.finish == Finish::rolled_back;
    }
    result_.spanning.push_back(std::move(transaction));
}

TransactionAt Evaluator::describe(const Parts& parts, bool certain) const
{
    TransactionAt transaction;
    transaction.global_id = known_.instances.ids()[instance(parts.front()).id];
    transaction.ambiguous = !certain;
    auto over = [&](std::uint32_t i) {
        return finished_inside(instance(i), at_[instance(i).member]);
    };
    std::size_t skip = 0;
    if (!certain) {
        auto finished = static_cast<std::size_t>(std::ranges::count_if(parts, over));
        skip = finished - std::min(finished, kMaxFinishedParts);
    }
    for (std::uint32_t i : parts) {
        if (skip > 0 && over(i)) {
            --skip;
            continue;
        }
        transaction.parts.push_back(
            {.branch = known_.instances.branch(instance(i)), .state = state(i)});
    }
    return transaction;
}

/// One verdict for all branches of the group that are in doubt: what is settled in two ways is
/// torn.
Verdict Evaluator::verdict(const Parts& parts, bool certain) const
{
    if (!instance(parts.front()).matched) {
        return {.reason = Reason::unmatched_gid,
                .evidence = fmt::format("the gid does not match the gid_pattern of {}",
                                        member(instance(parts.front())))};
    }
    const Instance* commit = certain ? shared_commit(parts) : nullptr;
    const Instance* doubtful = certain && !commit ? any_commit(parts) : nullptr;
    if (!certain) doubtful = possible_commit(parts);
    if (!commit && !doubtful) return without_commit(parts);
    const Instance& deciding = commit ? *commit : *doubtful;
    Verdict verdict{.committed_by = member(deciding), .committed_at = finish_position(deciding)};
    std::string where = format_position(verdict.committed_at);
    if (commit) {
        verdict.decision = Decision::commit;
        verdict.reason = Reason::committed;
        verdict.evidence = fmt::format("committed at {} at {}", verdict.committed_by, where);
    } else {
        verdict.reason = Reason::ambiguous_id;
        verdict.evidence =
            fmt::format("the id seems to be used more than once; {} committed it at {}, "
                        "but perhaps in another use",
                        verdict.committed_by, where);
    }
    return verdict;
}

const Instance* Evaluator::any_commit(const Parts& parts) const
{
    auto found = std::ranges::find(parts, StateAt::committed, [&](auto i) { return state(i); });
    return found == parts.end() ? nullptr : &instance(*found);
}

/// A commit inside that can be the commit of every branch in doubt: nothing tells their lives
/// apart, and it is no leftover. A branch that began before all logs were kept may have had a
/// partner that no log shows, and what is in doubt at that member may be another use of the id.
/// That is excluded when the commit came provably after the prepares in doubt, for uses of an id do
/// not overlap.
const Instance* Evaluator::shared_commit(const Parts& parts) const
{
    const auto& lives = known_.grouping.lives();
    Grouping::Life doubt{.began = std::numeric_limits<std::int16_t>::min(),
                         .prepared = std::numeric_limits<std::int16_t>::min(),
                         .ended = std::numeric_limits<std::int16_t>::max()};
    Grouping::ClockSpan span;
    for (std::uint32_t i : parts) {
        if (state(i) != StateAt::in_doubt) continue;
        Grouping::ClockSpan clock = known_.grouping.clock_span(instance(i));
        doubt.began = std::max(doubt.began, lives[i].began);
        doubt.prepared = std::max(doubt.prepared, lives[i].prepared);
        doubt.ended = std::min(doubt.ended, lives[i].ended);
        span = {.from = std::max(span.from, clock.from), .to = std::min(span.to, clock.to)};
    }
    for (std::uint32_t i : parts) {
        if (state(i) != StateAt::committed) continue;
        const Instance& commit = instance(i);
        Grouping::ClockSpan clock = known_.grouping.clock_span(commit);
        bool after = doubt.prepared < known_.stages.last_before(commit.member, commit.finish_start);
        bool apart = lives[i].ended < doubt.began || doubt.ended < lives[i].began ||
                     clock.to < span.from || span.to < clock.from;
        if (!apart && (after || since_complete(commit))) return &commit;
    }
    return nullptr;
}

/// In a mixed group: a commit inside that some branch in doubt may belong to.
const Instance* Evaluator::possible_commit(const Parts& parts) const
{
    struct Last {
        const Instance* commit = nullptr;
        int ended = -1;
        std::int64_t clock = 0;
        Offset position = 0;
    };
    std::vector<Last> last(known_.instances.member_count());
    for (std::uint32_t i : parts) {
        if (state(i) != StateAt::committed) continue;
        Last& at_member = last[instance(i).member];
        std::int64_t until = known_.grouping.clock_span(instance(i)).to;
        at_member.clock = at_member.commit ? std::max(at_member.clock, until) : until;
        at_member.commit = &instance(i);
        at_member.ended = std::max<int>(at_member.ended, known_.grouping.lives()[i].ended);
        at_member.position = std::max(at_member.position, instance(i).finish_end);
    }
    for (std::uint32_t i : parts) {
        if (state(i) != StateAt::in_doubt) continue;
        for (std::uint32_t m = 0; m < last.size(); ++m) {
            const Last& other = last[m];
            if (!other.commit || other.ended < known_.grouping.lives()[i].began) continue;
            if (other.clock < known_.grouping.clock_span(instance(i)).from) continue;
            if (m == instance(i).member && other.position <= instance(i).prepare_start) continue;
            return other.commit;
        }
    }
    return nullptr;
}

/// A commit that a failover took: its branch is open again, or lost with it, and nobody knows
/// whether somebody was told.
const Instance* Evaluator::abandoned_commit(const Parts& parts) const
{
    auto found = std::ranges::find_if(parts, [&](auto i) {
        return (state(i) == StateAt::in_doubt || state(i) == StateAt::lost) &&
               instance(i).abandoned_commit.epoch != 0;
    });
    return found == parts.end() ? nullptr : &instance(*found);
}

Verdict Evaluator::without_commit(const Parts& parts) const
{
    if (const Instance* part = abandoned_commit(parts)) {
        return {.reason = Reason::commit_abandoned,
                .committed_by = member(*part),
                .committed_at = part->abandoned_commit,
                .evidence = fmt::format(
                    "{} committed it at {}, on log that a failover abandoned{}: whoever asked for "
                    "it may have been told so",
                    member(*part), format_position(part->abandoned_commit),
                    part->finish == Finish::lost ? ", with all of its part there" : "")};
    }
    for (std::uint32_t i : parts) {
        const Instance& part = instance(i);
        // Its place says nothing of when it was prepared; and a commit comes after all prepares,
        // so after that of the part in doubt, which is another.
        if (part.finish == Finish::lost) continue;
        if (part.seeded) {
            return {.reason = Reason::seeded,
                    .evidence = fmt::format(
                        "prepared at {} before the kept log begins; no commit seen", member(part))};
        }
        if (part.commit_unseen || last_unknown_ended_ >= known_.grouping.lives()[i].began) {
            return {.reason = Reason::commit_of_unknown,
                    .evidence =
                        last_unknown_commit_
                            ? fmt::format("{} committed a transaction whose prepare was never "
                                          "seen (xid {}, at {}); it may be this one's",
                                          last_unknown_commit_->member, last_unknown_commit_->xid,
                                          format_position({last_unknown_commit_->epoch,
                                                           last_unknown_commit_->start}))
                            : std::string("a transaction whose prepare was never seen was "
                                          "committed after this one's prepare")};
        }
        if (!since_complete(part)) {
            return {.reason = Reason::log_incomplete,
                    .evidence =
                        fmt::format("no commit seen, but not every member's log reaches back to "
                                    "before its prepare at {}",
                                    member(part))};
        }
    }
    return {.decision = Decision::rollback,
            .reason = Reason::not_committed,
            .evidence =
                fmt::format("no commit at any of {} members, and every log is complete since "
                            "before its first prepare",
                            known_.instances.member_count())};
}

} // namespace

Evaluation evaluate(const Known& known, std::span<const Offset> at)
{
    return Evaluator(known, at).run();
}

Evaluation evaluate_at(std::span<const MemberLog> logs, const Sweep& at,
                       const OpenTransactions* previous, const std::vector<Sweep>& sweeps)
{
    std::vector<const MemberLog*> pointers;
    std::vector<Offset> positions;
    for (const MemberLog& log : logs) {
        auto found = at.find(log.name);
        if (found == at.end()) {
            throw base::Error{base::Code::failed,
                              fmt::format("no position is given for member {}", log.name)};
        }
        pointers.push_back(&log);
        positions.push_back(found->second);
    }
    check_names(pointers);
    std::vector<Offset> limits(logs.size(), kNever);
    return evaluate(Known(pointers, previous, sweeps, limits), positions);
}

} // namespace tidemark::model
