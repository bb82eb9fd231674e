#include "job/moment.h"

#include "base/error.h"
#include "job/group_log.h"
#include "job/mark_input.h"
#include "model/commits_to_check.h"
#include "model/instances.h"
#include "repo/marks.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::Mark;

namespace {

/// When a member's own clock said what ours said at the mark: the earliest and the latest it can
/// have been.
base::Time earliest(const Mark& mark, const model::MarkMember& member)
{
    return member.clock ? mark.created + member.clock->offset - member.clock->error : mark.created;
}
base::Time latest(const Mark& mark, const model::MarkMember& member)
{
    return member.clock ? mark.created + member.clock->offset + member.clock->error : mark.created;
}

bool surely_after(const Mark& mark, base::Time at)
{
    return std::ranges::all_of(mark.members,
                               [&](const auto& member) { return earliest(mark, member) > at; });
}
bool surely_before(const Mark& mark, base::Time at)
{
    return std::ranges::all_of(mark.members,
                               [&](const auto& member) { return latest(mark, member) <= at; });
}

/// The first moment that lies surely at or after the mark, and the last one surely before it.
base::Time first_after(const Mark& mark)
{
    auto out = mark.created;
    for (const auto& member : mark.members)
        out = std::max(out, latest(mark, member));
    return out;
}
base::Time last_before(const Mark& mark)
{
    auto out = mark.created;
    for (const auto& member : mark.members)
        out = std::min(out, earliest(mark, member));
    return out - base::Duration{1};
}

model::Sweep sweep_of(const Mark& mark, model::Offset model::MarkMember::* position)
{
    model::Sweep sweep;
    for (const auto& member : mark.members)
        sweep[member.name] = member.*position;
    return sweep;
}

void add_sweeps(const Mark& mark, std::vector<model::Sweep>& into)
{
    for (auto position : {&model::MarkMember::b, &model::MarkMember::r, &model::MarkMember::e})
        into.push_back(sweep_of(mark, position));
}

/// Nothing that `earlier` saw was abandoned when `mark` was placed.
bool saw_only(const Mark& mark, const Mark& earlier)
{
    return std::ranges::all_of(mark.members, [&](const model::MarkMember& member) {
        auto known = earlier.table.members.find(member.name);
        return known == earlier.table.members.end() ||
               model::on_history(member.history, known->second.epoch, known->second.e);
    });
}

/// A member whose gids the two marks read in two ways. Which transactions belong together is asked
/// once for all the log between them.
const model::MarkMember* other_pattern(const Mark& one, const Mark& other)
{
    for (const auto& member : one.members) {
        auto line = std::ranges::find(other.members, member.name, &model::MarkMember::name);
        if (line != other.members.end() && line->gid_pattern != member.gid_pattern) return &member;
    }
    return nullptr;
}

/// Finds one member's candidate while its log goes by.
class Watcher {
public:
    Watcher(base::Time at, const model::MarkMember& member)
        : at_(at), limit_(member.r), history_(member.history)
    {
    }

    void see(const model::LogIndex& index)
    {
        for (const auto& point : index.times) {
            // Tails that the history has left come after it, in the same numbers.
            if (point.start >= limit_ || history_.epoch_at(point.start) != index.range.epoch)
                continue;
            if (out.first_dropped) {
                if (point.at <= at_) ++out.dropped_earlier;
            } else if (point.at > at_) {
                out.first_dropped = point;
            } else {
                kept_.push_back(point);
            }
        }
    }
    model::Offset wanted() const { return out.first_dropped ? out.first_dropped->start : limit_; }
    /// The last one below the cut, which may lie before the candidate.
    void settle(model::Offset cut)
    {
        for (const auto& point : kept_) {
            if (point.start < cut) out.last_kept = point;
        }
        auto first = std::ranges::find_if(kept_, [&](const auto& p) { return p.start >= cut; });
        if (first == kept_.end()) return;
        out.dropped_earlier += static_cast<std::uint64_t>(kept_.end() - first);
        out.first_dropped = *first;
    }

    MomentMember out;

private:
    base::Time at_;
    model::Offset limit_;
    model::History history_;
    std::vector<model::TimePoint> kept_;
};

class Finder {
public:
    Finder(const Context& context, const repo::RepositoryView& view, base::Time at)
        : context_(context), at_(at)
    {
        for (auto mark = view.marks.rbegin(); mark != view.marks.rend(); ++mark) {
            if (!mark->value.is_moment()) marks_.push_back(&mark->value);
        }
    }

    Moment find()
    {
        auto next =
            std::ranges::find_if(marks_, [&](const auto* m) { return surely_after(*m, at_); });
        if (next == marks_.end()) {
            refuse(marks_.empty() ? "there is no mark"
                                  : fmt::format("no mark lies after it; the newest is {}, {}",
                                                title(*marks_.back()),
                                                base::format_time_human(marks_.back()->created)));
        }
        // To a mark before the moment on every member's clock, whose table reaches below the cut.
        const Mark* left_out = nullptr; // what it saw was abandoned since
        for (auto previous = next; previous != marks_.begin();) {
            --previous;
            if (!surely_before(**previous, at_)) continue;
            if (!saw_only(**next, **previous)) {
                left_out = *previous;
                continue;
            }
            if (auto found = attempt(*previous, next)) return std::move(*found);
        }
        if (left_out)
            refuse(fmt::format("a member was failed over or restored between {} and {}",
                               title(*left_out), title(**next)));
        refuse(fmt::format("no mark lies before it; the oldest is {}, {}", title(*marks_.front()),
                           base::format_time_human(marks_.front()->created)));
    }

private:
    using Marks = std::vector<const Mark*>;

    static std::string title(const Mark& mark) { return repo::mark_id(mark.number); }

    [[noreturn]] void refuse(const std::string& why) const
    {
        throw Error{
            Code::point_not_reachable,
            fmt::format("the moment {} cannot be reached: {}", base::format_time_human(at_), why),
            {.hint = "tidemark list windows shows what can; a mark can be named instead"}};
    }

    /// Each mark's reading is of the log between the one before and itself: wide enough for all
    /// that are gone over.
    void widen_clock(model::MarkMember& member, Marks::const_iterator first,
                     Marks::const_iterator next) const
    {
        for (auto mark = first; mark != next && member.clock; ++mark) {
            auto line = std::ranges::find((*mark)->members, member.name, &model::MarkMember::name);
            if (line == (*mark)->members.end()) continue;
            if (line->clock)
                member.clock = model::cover(*line->clock, *member.clock, {});
            else
                member.clock.reset();
        }
    }

    std::optional<Moment> attempt(const Mark* previous, Marks::const_iterator next)
    {
        const Mark& bound = **next;
        for (auto mark = std::ranges::find(marks_, previous); mark != next; ++mark)
            if (const auto* changed = other_pattern(**mark, bound))
                refuse(fmt::format("the gid_pattern of {} was changed between {} and {}",
                                   changed->name, title(**mark), title(bound)));
        Moment out;
        out.after = title(*previous);
        out.before = title(bound);
        out.mark = bound;
        out.mark.id.clear();
        out.mark.number = 0;
        out.mark.name.clear();
        out.mark.restore_point.clear();
        out.mark.created = at_;
        out.mark.spread = {};
        out.mark.previous = out.after;
        out.mark.anchor.clear();
        const auto first = std::ranges::find(marks_, previous) + 1;
        for (auto between = first; between != next; ++between)
            if (saw_only(bound, **between)) add_sweeps(**between, out.mark.anchor);
        model::CutInput input{.previous = &previous->table,
                              .anchor = out.mark.anchor,
                              .decision_tables = out.mark.decision_tables,
                              .created = at_};
        std::vector<Watcher> watchers;
        for (auto& member : out.mark.members) {
            base::with_context("member " + member.name, [&] {
                watchers.emplace_back(at_, member);
                auto& watcher = watchers.back();
                member.wanted.reset();
                widen_clock(member, first, next);
                auto cut = read_cut_member(context_, {.created = at_}, member, input.previous,
                                           [&](const auto& index) {
                                               if (!index.unread.empty())
                                                   refuse("log on the way cannot be read");
                                               watcher.see(index);
                                           });
                auto known = previous->table.members.find(member.name);
                if (known == previous->table.members.end() ||
                    cut.log.complete_since > known->second.e)
                    refuse(fmt::format("the log of {} since {} is not all there", member.name,
                                       out.after));
                member.wanted = cut.wanted = watcher.wanted();
                input.members.push_back(std::move(cut));
            });
        }
        add_tails(context_, {.created = at_}, out.mark.members, input);
        auto cut = model::compute_cut(input);
        model::list_commits(out.mark, model::commits_since(input, cut, previous));
        for (const auto& violation : cut.violations) {
            if (violation.kind == model::ViolationKind::before_previous) return std::nullopt;
            refuse(
                fmt::format("{} at {}", model::violation_name(violation.kind), violation.member));
        }
        fill(out, std::move(cut), watchers);
        return out;
    }

    static void fill(Moment& out, model::CutResult cut, std::vector<Watcher>& watchers)
    {
        auto& mark = out.mark;
        for (std::size_t i = 0; i < mark.members.size(); ++i) {
            auto& member = mark.members[i];
            member.cut = cut.members[i].cut;
            member.retreat_bytes = cut.members[i].retreat_bytes;
            member.retreat = cut.members[i].retreat;
            watchers[i].settle(member.cut.offset);
            auto& seen = watchers[i].out;
            seen.name = member.name;
            seen.clock = member.clock;
            out.members.push_back(seen);
        }
        mark.iterations = cut.iterations;
        mark.at = std::move(cut.at);
        mark.table = {};
        mark.violations.clear();
        mark.flags = cut.flags;
    }

    const Context& context_;
    base::Time at_;
    Marks marks_; ///< oldest first
};

/// Where the members' logs have no gap. The chains along a history are looked for once, so that
/// thousands of marks may ask.
class Connections {
public:
    explicit Connections(const repo::RepositoryView& view) : view_(view) {}

    /// The logs of all members go on from one mark to the next without a gap, along one history.
    bool connected(const Mark& from, const Mark& to)
    {
        // A moment between them would lack who left, or have no log of who joined.
        if (from.members.size() != to.members.size() || other_pattern(from, to) != nullptr)
            return false;
        return std::ranges::all_of(to.members, [&](const model::MarkMember& member) {
            auto before = std::ranges::find(from.members, member.name, &model::MarkMember::name);
            auto stored = view_.members.find(member.name);
            if (before == from.members.end() || stored == view_.members.end()) return false;
            model::LogPosition end{member.history.epoch_at(member.log_end - 1), member.log_end};
            // To the end of what that mark saw, which is where the proof goes on.
            if (before->cut.offset > end.offset ||
                !model::on_history(member.history, before->history.current(), before->e))
                return false;
            auto unread = [&](const model::Violation& hole) {
                return hole.kind == model::ViolationKind::log_unread &&
                       hole.member == member.name && hole.bound > before->e;
            };
            if (std::ranges::any_of(to.violations, unread)) return false;
            const auto& log = stored->second.log;
            return covered(log, member.history, before->cut.offset, end.offset) &&
                   !log.barrier(member.history, before->cut, end);
        });
    }

private:
    struct Known {
        model::History history;
        std::vector<repo::LogChain> chains;
    };

    bool covered(const repo::LogCatalog& log, const model::History& history, model::Offset from,
                 model::Offset to)
    {
        auto& known = known_[log.id.member];
        auto one = std::ranges::find(known, history, &Known::history);
        if (one == known.end()) {
            known.push_back({history, repo::find_chains(log.pieces, history)});
            one = std::prev(known.end());
        }
        // Offsets grow along a history, through its switch points too.
        return from == to || std::ranges::any_of(one->chains, [&](const repo::LogChain& chain) {
                   return chain.start.offset <= from && to <= chain.end.offset;
               });
    }

    const repo::RepositoryView& view_;
    std::map<std::string, std::vector<Known>> known_;
};

} // namespace

Moment find_moment(const Context& context, const repo::RepositoryView& view, base::Time at)
{
    return Finder(context, view, at).find();
}

repo::StoredMark record_moment(const Context& context, const Moment& moment,
                               const std::string& name)
{
    GroupLog log(context, kLeasePatience);
    repo::Marks marks(context.storage(), context.group.name);
    if (!name.empty()) marks.refuse_taken(model::checked_mark_name(name));
    auto mark = moment.mark;
    mark.name = name;
    return marks.append(log.lease(), mark);
}

std::vector<Window> restore_windows(const repo::RepositoryView& view)
{
    std::vector<Window> out;
    auto restorable = repo::restorable_marks(view);
    Connections logs(view);
    std::vector<const Mark*> joined; // those of the last window
    for (auto mark = view.marks.rbegin(); mark != view.marks.rend(); ++mark) {
        if (mark->value.is_moment()) continue;
        if (!std::ranges::binary_search(restorable, mark->number())) {
            joined.clear();
            continue;
        }
        // Behind a failover, from before the marks on the tail that it abandoned.
        bool goes_on = std::any_of(joined.rbegin(), joined.rend(), [&](const Mark* earlier) {
            return logs.connected(*earlier, mark->value);
        });
        if (goes_on) {
            out.back().to = std::max(out.back().to, last_before(mark->value));
            out.back().last = mark->number();
        } else {
            joined.clear();
            out.push_back({.from = first_after(mark->value),
                           .to = last_before(mark->value),
                           .first = mark->number(),
                           .last = mark->number()});
        }
        joined.push_back(&mark->value);
    }
    return out;
}

} // namespace tidemark::job
