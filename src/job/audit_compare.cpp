#include "job/audit_compare.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <set>

namespace tidemark::job {

namespace {

using model::format_position;
/// Sorted, so that two of them are told apart line by line; equal lines may come twice.
using Lines = std::multiset<std::string>;

void compare_lines(const std::string& what, const Lines& stored, const Lines& now,
                   std::vector<std::string>& differences)
{
    std::vector<std::string> only;
    std::ranges::set_difference(stored, now, std::back_inserter(only));
    for (const auto& line : only)
        differences.push_back(fmt::format("{}: the mark has {}, the log does not", what, line));
    only.clear();
    std::ranges::set_difference(now, stored, std::back_inserter(only));
    for (const auto& line : only)
        differences.push_back(fmt::format("{}: the log has {}, the mark does not", what, line));
}

void compare_cuts(const model::Mark& stored, const model::CutResult& now,
                  std::vector<std::string>& differences)
{
    for (std::size_t i = 0; i < stored.members.size(); ++i) {
        if (stored.members[i].cut == now.members[i].cut) continue;
        differences.push_back(fmt::format(
            "{}: the mark says {}, the log gives {}", stored.members[i].name,
            format_position(stored.members[i].cut), format_position(now.members[i].cut)));
    }
}

std::map<std::string, std::string> verdicts(const model::Evaluation& at)
{
    std::map<std::string, std::string> all;
    for (const auto& doubt : at.in_doubt) {
        all[doubt.branch.member + " " + doubt.branch.gid] =
            std::string(model::decision_name(doubt.verdict.decision));
    }
    return all;
}

void compare_verdicts(const model::Mark& stored, const model::CutResult& now,
                      std::vector<std::string>& differences)
{
    auto before = verdicts(stored.at);
    auto after = verdicts(now.at);
    for (const auto& [branch, verdict] : before) {
        auto found = after.find(branch);
        if (found == after.end())
            differences.push_back(branch + ": the mark has it in doubt, the log does not");
        else if (found->second != verdict)
            differences.push_back(fmt::format("{}: the mark says {}, the log gives {}", branch,
                                              verdict, found->second));
    }
    for (const auto& [branch, verdict] : after) {
        if (!before.contains(branch))
            differences.push_back(branch + ": in doubt by the log, not by the mark");
    }
}

std::string describe_branch(const model::Branch& branch)
{
    auto prepared =
        branch.seeded ? std::string("before the log")
                      : fmt::format("at {}", format_position({branch.epoch, branch.prepare_start}));
    return fmt::format("{} at {} (xid {}, prepared {})", branch.gid, branch.member, branch.xid,
                       prepared);
}

Lines spanning_lines(const model::Evaluation& at)
{
    Lines lines;
    for (const auto& transaction : at.spanning) {
        for (const auto& part : transaction.parts) {
            if (part.state == model::StateAt::lost) continue;
            // Of an id in constant use not all finished parts are listed.
            if (transaction.ambiguous && part.state != model::StateAt::in_doubt) continue;
            auto line = fmt::format("{} as part of {}, {}", describe_branch(part.branch),
                                    transaction.global_id, model::state_name(part.state));
            if (part.state == model::StateAt::committed ||
                part.state == model::StateAt::rolled_back)
                line += fmt::format(" at {}", format_position({part.branch.finish_epoch,
                                                               part.branch.finish_start}));
            lines.insert(std::move(line));
        }
    }
    return lines;
}

Lines table_lines(const model::OpenTransactions& table)
{
    Lines lines;
    for (const auto& branch : table.branches) {
        if (branch.finish == model::Finish::lost) continue;
        auto line = describe_branch(branch);
        if (branch.finish == model::Finish::open)
            line += ", open";
        else
            line += fmt::format(", {} at {}",
                                branch.finish == model::Finish::committed     ? "committed"
                                : branch.finish == model::Finish::rolled_back ? "rolled back"
                                                                              : "ended unseen",
                                format_position({branch.finish_epoch, branch.finish_start}));
        lines.insert(std::move(line));
    }
    return lines;
}

void compare_flags(const model::CutFlags& stored, const model::CutFlags& now,
                   std::vector<std::string>& differences)
{
    struct Flag {
        const char* name;
        bool model::CutFlags::* value;
    };
    // lost_prepares is not among them: the log that shows it is an abandoned branch's.
    constexpr Flag kFlags[] = {
        {"two_phase_only", &model::CutFlags::two_phase_only},
        {"heuristic_damage", &model::CutFlags::heuristic_damage},
        {"differs_from_production", &model::CutFlags::differs_from_production},
        {"unknown_verdicts", &model::CutFlags::unknown_verdicts},
        {"unknown_finishes", &model::CutFlags::unknown_finishes},
        {"relies_on_clocks", &model::CutFlags::relies_on_clocks},
    };
    for (const auto& flag : kFlags) {
        if (stored.*flag.value == now.*flag.value) continue;
        differences.push_back(fmt::format("{}: the mark says {}, the log gives {}", flag.name,
                                          stored.*flag.value, now.*flag.value));
    }
}

} // namespace

std::vector<std::string> compare_proof(const model::Mark& stored, const model::CutResult& now,
                                       AuditScope scope)
{
    std::vector<std::string> differences;
    compare_cuts(stored, now, differences);
    compare_verdicts(stored, now, differences);
    for (const auto& torn : now.at.torn)
        differences.push_back("torn at the mark: " + torn.global_id);
    if (!scope.whole) return differences;
    compare_lines("spanning transactions", spanning_lines(stored.at), spanning_lines(now.at),
                  differences);
    compare_flags(stored.flags, now.flags, differences);
    // A moment's table serves nobody and is not stored.
    if (!stored.is_moment())
        compare_lines("open transactions", table_lines(stored.table), table_lines(now.table),
                      differences);
    return differences;
}

} // namespace tidemark::job
