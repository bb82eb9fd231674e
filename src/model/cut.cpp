#include "model/cut.h"

#include "base/error.h"
#include "model/decision_table.h"
#include "model/fixpoint.h"
#include "model/known.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::model {
namespace {

using base::Code;
using base::Error;

void check_member(const CutMember& member)
{
    if (member.b > member.r || member.r >= member.r_end || member.r_end > member.e) {
        throw Error{Code::failed,
                    fmt::format("member {}: the positions of the mark are out of order: b {}, "
                                "restore point {} to {}, e {}",
                                member.log.name, format_offset(member.b), format_offset(member.r),
                                format_offset(member.r_end), format_offset(member.e))};
    }
}

Sweep sweep_of(const CutInput& input, Offset CutMember::* position)
{
    Sweep sweep;
    for (const CutMember& member : input.members)
        sweep[member.log.name] = member.*position;
    return sweep;
}

std::vector<Sweep> sweeps_of(const CutInput& input)
{
    std::vector<Sweep> sweeps = input.anchor;
    sweeps.push_back(sweep_of(input, &CutMember::b));
    sweeps.push_back(sweep_of(input, &CutMember::r));
    sweeps.push_back(sweep_of(input, &CutMember::e));
    return sweeps;
}

/// Where the table's knowledge of a member ends; 0 without a table.
Offset known_before(const CutInput& input, const CutMember& member)
{
    if (!input.previous) return 0;
    auto found = input.previous->members.find(member.log.name);
    return found == input.previous->members.end() ? 0 : known_to(found->second, member.log.history);
}

/// K lies at or after this: b, or, where a moment in the past is wanted, what the table knows.
Offset lower_bound(const CutInput& input, const CutMember& member)
{
    return member.wanted ? known_before(input, member) : member.b;
}

bool below_bound(const CutInput& input, const Fixpoint& fixpoint)
{
    for (std::size_t m = 0; m < input.members.size(); ++m) {
        if (fixpoint.cuts[m] < lower_bound(input, input.members[m])) return true;
    }
    return false;
}

/// Where the search starts: r, or what the member can be restored to, or the first commit of an
/// unknown branch since b (its partners' prepares are unknown to us, so it had better stay
/// outside).
std::vector<FixpointStart> starts_of(const CutInput& input, const Known& known)
{
    std::vector<FixpointStart> starts;
    for (const CutMember& member : input.members) {
        starts.push_back({.at = member.fixed.value_or(member.wanted.value_or(member.r)),
                          .fixed = member.fixed.has_value()});
    }
    for (const auto& [m, finish] : known.instances.unknown_finishes()) {
        FixpointStart& start = starts[m];
        Offset bound = lower_bound(input, input.members[m]);
        if (!finish.committed || finish.start < bound || finish.start >= start.at) continue;
        if (start.fixed) continue;
        start.at = finish.start;
        start.unknown = &finish;
    }
    return starts;
}

MemberCut member_cut(const CutMember& member, const Known& known, const FixpointStart& start,
                     const Fixpoint& fixpoint, std::size_t m)
{
    MemberCut cut{.name = member.log.name};
    Offset asked = member.wanted.value_or(member.r);
    cut.cut = {member.log.history.current(), fixpoint.cuts[m]};
    cut.retreat_bytes = asked - std::min(asked, fixpoint.cuts[m]);
    if (const auto& cause = fixpoint.causes[m]) {
        const Instance& commit = known.instances.all()[cause->commit];
        const Instance& prepare = known.instances.all()[cause->prepare];
        cut.cut.epoch = known.instances.finish_epoch(commit);
        cut.retreat =
            Retreat{.global_id = std::string(known.instances.ids()[commit.id]),
                    .xid = known.instances.xid(commit),
                    .commit = cut.cut,
                    .because_of = known.instances.log(prepare.member).name,
                    .prepare = {known.instances.prepare_epoch(prepare), prepare.prepare_start}};
    } else if (start.unknown) {
        cut.cut.epoch = start.unknown->epoch;
        cut.retreat = Retreat{.xid = start.unknown->xid, .commit = cut.cut};
    } else if (start.fixed || member.wanted) {
        cut.cut.epoch = member.log.history.epoch_at(fixpoint.cuts[m]);
    }
    return cut;
}

/// Above b the cut needs no more of the past than b; below it, a commit that a gap hides, or whose
/// prepare was never seen, might belong to a prepare that now lies outside.
void add_not_proven(const Known& known, const Fixpoint& fixpoint,
                    std::vector<Violation>& violations)
{
    auto below = std::ranges::find(violations, ViolationKind::below_lower_bound, &Violation::kind);
    if (below == violations.end()) return;
    bool proven = known.instances.unknown_finishes().empty() && known.complete_from.has_value();
    for (std::size_t m = 0; proven && m < fixpoint.cuts.size(); ++m) {
        proven = fixpoint.cuts[m] >= (*known.complete_from)[m];
    }
    if (proven) return;
    Violation violation = *below;
    violation.kind = ViolationKind::not_proven;
    violations.push_back(std::move(violation));
}

std::vector<Violation> violations_of(const CutInput& input, const Known& known,
                                     const Fixpoint& fixpoint)
{
    std::vector<Violation> violations;
    auto id_of = [&](std::uint32_t instance) {
        return std::string(known.instances.ids()[known.instances.all()[instance].id]);
    };
    for (std::size_t m = 0; m < input.members.size(); ++m) {
        const CutMember& member = input.members[m];
        auto report = [&](ViolationKind kind, Offset cut, Offset bound, std::string id = {}) {
            violations.push_back({.kind = kind,
                                  .member = member.log.name,
                                  .cut = cut,
                                  .bound = bound,
                                  .global_id = std::move(id)});
        };
        Offset cut = fixpoint.cuts[m];
        std::string id = fixpoint.causes[m] ? id_of(fixpoint.causes[m]->commit) : std::string();
        Offset before = known_before(input, member);
        if (cut < before) {
            report(ViolationKind::before_previous, cut, before, id);
        } else if (cut < member.b && !member.fixed && !member.wanted) {
            report(ViolationKind::below_lower_bound, cut, member.b, id);
        }
        if (member.fixed && (*member.fixed < member.b || *member.fixed > member.r)) {
            report(ViolationKind::fixed_outside, *member.fixed, member.b);
        }
        if (fixpoint.refused[m]) {
            const Instance& commit = known.instances.all()[fixpoint.refused[m]->commit];
            report(ViolationKind::fixed_must_retreat, commit.finish_start, cut,
                   id_of(fixpoint.refused[m]->commit));
        }
        if (member.wanted && (*member.wanted < before || *member.wanted > member.r))
            report(ViolationKind::wanted_outside, *member.wanted, before);
        if (member.log.complete_since > std::min(cut, member.b)) {
            report(ViolationKind::log_gap, cut, member.log.complete_since);
        }
    }
    add_not_proven(known, fixpoint, violations);
    return violations;
}

CutFlags flags_of(const CutInput& input, const Evaluation& at, bool by_clocks)
{
    CutFlags flags;
    flags.two_phase_only = input.decision_tables.empty() ||
                           std::ranges::any_of(input.decision_tables, [](const auto& one) {
                               return one.table == kNoDecisionTable;
                           });
    flags.heuristic_damage = !at.damaged.empty();
    flags.lost_prepares = !at.lost.empty();
    flags.unknown_finishes = !at.unknown_finishes.empty();
    flags.relies_on_clocks = by_clocks;
    for (const InDoubt& entry : at.in_doubt) {
        flags.differs_from_production |= entry.differs_from_production;
        flags.unknown_verdicts |= entry.verdict.decision == Decision::unknown;
    }
    return flags;
}

OpenTransactions table_of(const CutInput& input, const Known& known, const Fixpoint& fixpoint)
{
    std::map<std::string, OpenTransactions::Member> members;
    for (const CutMember& member : input.members) {
        members[member.log.name] = {.epoch = member.log.history.current(),
                                    .b = member.b,
                                    .r = member.r,
                                    .e = member.e,
                                    .complete_from = {},
                                    .clock = member.log.clock,
                                    .gid_pattern = member.log.pattern.text()};
    }
    return carry(known, fixpoint.cuts, std::move(members), input.created);
}

} // namespace

std::string_view violation_name(ViolationKind kind)
{
    switch (kind) {
    case ViolationKind::below_lower_bound:
        return "below_lower_bound";
    case ViolationKind::before_previous:
        return "before_previous";
    case ViolationKind::fixed_must_retreat:
        return "fixed_must_retreat";
    case ViolationKind::fixed_outside:
        return "fixed_outside";
    case ViolationKind::log_unread:
        return "log_unread";
    case ViolationKind::not_proven:
        return "not_proven";
    case ViolationKind::wanted_outside:
        return "wanted_outside";
    case ViolationKind::log_gap:
        break;
    }
    return "log_gap";
}

bool CutResult::usable() const
{
    return std::ranges::all_of(violations, [](const Violation& violation) {
        return violation.kind == ViolationKind::below_lower_bound ||
               violation.kind == ViolationKind::log_unread;
    });
}

CutResult compute_cut(const CutInput& input)
{
    std::vector<const MemberLog*> logs;
    std::vector<Offset> limits;
    for (const CutMember& member : input.members) {
        check_member(member);
        logs.push_back(&member.log);
        limits.push_back(member.e);
    }
    check_names(logs);
    for (const CutMember& member : input.members) {
        if (known_before(input, member) > member.b) {
            throw Error{
                Code::identity_mismatch,
                fmt::format("the log of member {} stands at {}, before the end of what the last "
                            "mark saw of it",
                            member.log.name, format_offset(member.b)),
                {.hint = "the server was put back to an older state; take a new full backup"}};
        }
    }
    Known known(logs, input.previous, sweeps_of(input), limits);
    auto starts = starts_of(input, known);
    Fixpoint fixpoint = find_fixpoint(known, known.grouping.wide(), starts);
    bool by_clocks = false;
    if (below_bound(input, fixpoint)) {
        // An id in constant use lets every use drag the one before along; told apart by clocks it
        // does not.
        Fixpoint narrow = find_fixpoint(known, known.grouping.narrow(), starts);
        by_clocks = !below_bound(input, narrow);
        if (by_clocks) fixpoint = std::move(narrow);
    }
    CutResult result;
    for (std::size_t m = 0; m < input.members.size(); ++m) {
        result.members.push_back(member_cut(input.members[m], known, starts[m], fixpoint, m));
    }
    result.iterations = fixpoint.rounds;
    result.at = evaluate(known, fixpoint.cuts);
    withhold_rollbacks(result.at, input.decision_tables);
    result.table = table_of(input, known, fixpoint);
    result.violations = violations_of(input, known, fixpoint);
    result.flags = flags_of(input, result.at, by_clocks);
    return result;
}

} // namespace tidemark::model
