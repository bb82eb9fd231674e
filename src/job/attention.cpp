#include "job/status.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

namespace {

using Reasons = std::vector<AttentionReason>;

/// Who takes the full backup that a member needs, and when.
std::string healing(const GroupStatus& status, const char* by_the_next_run)
{
    if (!status.healing_paused) return by_the_next_run;
    return fmt::format("full backups failed, and the next try is due at {}; tidemark backup takes "
                       "one at once",
                       base::format_time_human(*status.healing_paused));
}

void of_member(Reasons& out, const GroupStatus& status, const MemberStatus& member)
{
    const auto next = healing(status, "the next tidemark run takes a full backup");
    auto add = [&](const char* name, std::string text) {
        out.push_back({.name = name, .member = member.name, .text = std::move(text)});
    };
    if (member.has_left) {
        add("has left", "it belongs to the group no more, and jobs refuse to go on while this "
                        "configuration names it; take it out, or have it back with tidemark init");
    } else if (!member.error.empty()) {
        add(member.other_cluster ? "other cluster" : "no answer", member.error);
    } else if (member.identity && !member.slot.exists) {
        add("no slot",
            fmt::format(
                "the server keeps no log for us; {}, and what the server removed until "
                "then is a gap",
                healing(status, "the next tidemark run makes a slot and takes a full backup")));
    } else if (member.identity && member.slot.lost) {
        add("slot lost",
            "it held more than max_slot_wal_keep_size, and the server removed log; " + next);
    } else if (member.chain_broken) {
        add("broken chain",
            fmt::format("{}; {}, marks in the gap are not restorable", member.chain, next));
    }
    if (!member.piled_up.empty())
        add("log piles up", member.piled_up + "; tidemark log stores it now");
    if (member.backup && member.backup->value.is_damaged())
        add("damaged backup",
            fmt::format("b-{} holds {} pages that were damaged at the server; tidemark show b-{} "
                        "lists them",
                        member.backup->number(), member.backup->value.damaged_pages(),
                        member.backup->number()));
    if (!member.orphans.empty())
        add("orphans", fmt::format("prepared for long and not finished: {}; they hold locks and "
                                   "stop vacuum until their coordinator or you end them",
                                   member.orphans.size()));
    for (const auto& standby : member.standbys)
        if (!standby.problem.empty())
            add("standby", fmt::format("{}: {}", standby.where, standby.problem));
    for (const auto& slot : member.stray_slots)
        add("stray slot", fmt::format("{} is named like ours, and no group of this configuration "
                                      "uses it: SELECT pg_drop_replication_slot('{}');",
                                      slot.name, slot.name));
}

/// "is 2 h 5 min old"
std::string age_text(base::Duration age)
{
    if (age >= base::Duration::zero()) return fmt::format("is {} old", base::format_duration(age));
    return fmt::format("lies {} in the future: a clock was ahead, or ours is behind",
                       base::format_duration(-age));
}

void of_marks(Reasons& out, const GroupStatus& status)
{
    for (const auto& state : status.objective) {
        if (state.met) continue;
        std::string fact = "there is none yet";
        if (state.actual)
            fact = state.name == "restore_within"
                       ? fmt::format("the last one took {}", base::format_duration(*state.actual))
                       : fmt::format("the newest {}", age_text(*state.actual));
        out.push_back({.name = "missed objective",
                       .member = {},
                       .text = fmt::format("{} {}: {}", state.name,
                                           base::format_duration(state.limit), fact)});
    }
    if (!status.is_late()) return;
    out.push_back({.name = "old mark",
                   .member = {},
                   .text = fmt::format("the newest one {}; the rhythm of this group's runs lets "
                                       "expect {} at most",
                                       age_text(*status.rhythm->actual),
                                       base::format_duration(status.rhythm->limit))});
}

} // namespace

std::vector<AttentionReason> GroupStatus::attention() const
{
    Reasons out;
    if (!is_restorable())
        out.push_back({.name = "not restorable",
                       .member = {},
                       .text = has_marks ? "no mark has a complete backup and an unbroken log"
                                         : "there is no mark yet"});
    for (const auto& member : members)
        of_member(out, *this, member);
    for (const auto& name : unnamed)
        out.push_back({.name = "not configured",
                       .member = name,
                       .text = "it belongs to the group, and no mark is placed without it; name it "
                               "in the configuration, or say tidemark leave " +
                               name});
    if (failed_run)
        out.push_back({.name = "last run failed",
                       .member = {},
                       .text = fmt::format("run-{}, exit {}; tidemark show tells why",
                                           failed_run->number(), failed_run->value.exit_code)});
    if (unrecorded_run)
        out.push_back({.name = "last run failed",
                       .member = {},
                       .text = fmt::format(
                           "tidemark {} at {}, exit {}, and the repository could not be told",
                           unrecorded_run->command, base::format_time_human(unrecorded_run->ended),
                           unrecorded_run->exit_code)});
    // The marks that are placed meanwhile make the run that failed good.
    if (!full_fails.empty())
        out.push_back({.name = "full backups fail", .member = {}, .text = full_fails});
    if (!broken_off.empty())
        out.push_back({.name = "run broken off",
                       .member = {},
                       .text = "it was killed, and none came after it yet"});
    of_marks(out, *this);
    for (const auto& sentence : damage)
        out.push_back({.name = "damage", .member = {}, .text = sentence});
    if (last_drill && !last_drill->value.passed())
        out.push_back(
            {.name = "failed drill", .member = {}, .text = repo::drill_id(last_drill->number())});
    if (!unreadable.empty())
        out.push_back({.name = "unreadable",
                       .member = {},
                       .text = fmt::format("objects of the repository that cannot be read: {}; "
                                           "tidemark verify lists what that costs",
                                           unreadable.size())});
    return out;
}

bool GroupStatus::meets_objective() const
{
    return std::all_of(objective.begin(), objective.end(),
                       [](const model::ObjectiveState& state) { return state.met; });
}

bool GroupStatus::needs_attention() const
{
    return !attention().empty();
}

} // namespace tidemark::job
