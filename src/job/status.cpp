#include "job/status.h"

#include "base/error.h"
#include "job/chain_gap.h"
#include "job/crew.h"
#include "job/group_log.h"
#include "job/log_guard.h"
#include "job/run.h"
#include "model/lost.h"
#include "model/orphan_age.h"
#include "model/rhythm.h"
#include "model/schedule.h"
#include "repo/identities.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using base::Error;

namespace {

/// A member that hangs must not hang the status of the others.
constexpr auto kPatience = std::chrono::seconds{10};

void describe_gap(MemberStatus& out, const ChainGap& gap)
{
    out.chain = fmt::format("gap {} - {}", model::format_position(gap.from),
                            model::format_position(gap.to));
    out.chain_broken = true;
}

void describe_chain(MemberStatus& out, const repo::MemberView& stored)
{
    if (stored.log.pieces.empty()) {
        out.chain = "no log stored";
        return;
    }
    const auto& newest = stored.log.pieces.back().range;
    auto history = stored.histories.find(newest.epoch);
    if (history == stored.histories.end()) {
        out.chain = "history of timeline " + std::to_string(newest.epoch) + " is missing";
        out.chain_broken = true;
        return;
    }
    if (auto gap = announced_gap(stored)) return describe_gap(out, *gap);
    auto chains = repo::find_chains(stored.log.pieces, history->second);
    out.chain = "complete";
    if (chains.size() <= 1) return;
    out.chain = fmt::format("gap {} - {}", model::format_position(chains[chains.size() - 2].end),
                            model::format_position(chains.back().start));
    // A full backup after the gap has healed it: only marks in it are lost.
    bool healed = !stored.backups.empty() &&
                  stored.backups.front().value.start.offset >= chains.back().start.offset;
    out.chain_broken = !healed;
    if (healed) out.chain = "complete since " + model::format_position(chains.back().start);
}

void ask(MemberStatus& out, engine::Session& session, base::Time now,
         const model::MemberIdentity* recorded, const std::vector<std::string>& known_slots)
{
    session.set_deadline(std::chrono::steady_clock::now() + kPatience);
    auto identity = session.identify();
    if (recorded != nullptr) repo::check_identity(*recorded, identity);
    out.identity = std::move(identity);
    out.slot = session.slot();
    out.standbys = session.standbys({});
    out.stray_slots = stray_slots(session, known_slots);
    auto prepared = session.prepared();
    out.prepared = prepared.size();
    for (auto& branch : prepared) {
        auto age = std::chrono::duration_cast<base::Duration>(now - branch.prepared);
        if (age >= model::kOrphanAge)
            out.orphans.push_back({.branch = std::move(branch), .age = age});
    }
}

void compare(MemberStatus& out, store::Storage& storage, const repo::MemberView& stored)
{
    if (!out.identity) return;
    auto history = stored.histories.find(out.identity->position.epoch);
    std::optional<model::LogPosition> end;
    if (history != stored.histories.end()) end = stored.log.durable_end(history->second);
    if (!out.chain_broken && (!out.slot.exists || out.slot.lost)) {
        out.chain = fmt::format("broken: {}, log since {} is not kept",
                                out.slot.exists ? "slot lost" : "no slot",
                                end ? model::format_offset(end->offset) : "its beginning");
        out.chain_broken = true;
    }
    if (history == stored.histories.end()) return;
    if (end && out.identity->position.offset >= end->offset)
        out.behind_bytes = out.identity->position.offset - end->offset;
    if (out.chain_broken) return;
    if (auto gap =
            slot_gap(storage, stored, history->second, out.identity->log_segment_size, out.slot))
        describe_gap(out, *gap);
}

/// Members are copied side by side, each under a lease of its own: the oldest tells the beginning.
std::optional<RunningBackup> running_backup(const Context& context)
{
    std::optional<RunningBackup> out;
    for (const auto& member : context.group.members) {
        auto lease =
            repo::read_lease(context.storage(), context.group.name, "backup/" + member.name);
        if (!lease || !repo::is_in_force(*lease, context.storage().now())) continue;
        if (!out || lease->since < out->since)
            out = RunningBackup{.since = lease->since, .owner = lease->owner};
    }
    return out;
}

bool recorded_member(const repo::MemberView& stored)
{
    return !stored.identities.empty() && !stored.identities.front().value.has_left();
}

const model::MemberIdentity* recorded_identity(const repo::RepositoryView& view,
                                               const std::string& member)
{
    auto stored = view.members.find(member);
    if (stored == view.members.end() || stored->second.identities.empty()) return nullptr;
    return &stored->second.identities.front().value;
}

/// Whoever said it was told at the terminal, also of a moment that nothing leads to (mark --at);
/// the scheduled job alone says it to nobody.
bool is_mistyped(const model::Run& run)
{
    using base::Code;
    return run.command != "run" && (run.exit_code == static_cast<int>(Code::usage) ||
                                    run.exit_code == static_cast<int>(Code::point_not_reachable));
}

/// What became of the latest runs, and how old the newest mark may be by their rhythm.
void read_runs(GroupStatus& out, const Context& context, const StatusOptions& options)
{
    std::vector<base::Time> starts;
    std::vector<model::Run> newer;
    const auto latest = repo::Runs(context.storage(), out.group).list(kLatestRuns);
    out.unrecorded_run = not_made_good(options.unrecorded, latest);
    for (const auto& run : latest) {
        if (!stores_something(run.value.command) || is_mistyped(run.value)) continue;
        if (run.value.broken_off) ++out.broken_off_lately;
        const auto& command = run.value.command;
        if (command != "log") starts.push_back(run.value.started);
        if (!out.last_run) out.last_run = run;
        bool made_good = std::ranges::any_of(
            newer, [&](const model::Run& later) { return makes_good(later, command); });
        if (!out.failed_run && !made_good && counts_as_failed(run.value)) out.failed_run = run;
        newer.push_back(run.value);
    }
    out.broken_off = repo::open_runs(context.storage(), out.group);
    std::erase_if(out.broken_off, [](const repo::OpenRun& run) {
        return !run.broken_off || !stores_something(run.command);
    });
    out.broken_off_lately += out.broken_off.size();
    if (context.group.objective.lose_at_most || !out.restorable) return;
    model::Objective usual{.lose_at_most = model::usual_patience(std::move(starts))};
    out.rhythm =
        model::compare_objective(usual, out.restorable->value.created, {}, out.now).front();
}

/// When the next full backup is due, and what keeps it from being taken.
void read_full_backups(GroupStatus& out, const Context& context, const repo::RepositoryView& view)
{
    out.next_full =
        model::next_due(context.group.full, base::TimeZone::find(context.group.zone), out.now);
    auto failed = read_failed_fulls(context.storage(), view);
    auto decision = decide_run(context.group, view, out.now, failed);
    if (decision.full) out.full_due = decision.why;
    if (decision.paused) out.full_paused = out.full_fails = decision.why;
    if (decision.full && failed.count > 0)
        out.full_fails = fmt::format("full backups failed ({} since one worked); the next "
                                     "tidemark run tries again",
                                     failed.count);
    if (failed.before_running > 0)
        out.full_fails = fmt::format("full backups failed ({} since one worked); one is being "
                                     "taken now",
                                     failed.before_running);
    out.healing_paused = paused_until(failed, Need::chain, out.now);
}

/// What the member answers (if it is asked), what is stored of it, and how the two compare.
MemberStatus describe_member(const Context& context, const model::MemberSpec& spec,
                             const repo::RepositoryView& view, const StatusOptions& options,
                             base::Time now)
{
    MemberStatus out;
    out.name = spec.name;
    if (options.ask_members) {
        try {
            if (auto known = options.absent.find(spec.name); known != options.absent.end())
                throw Error(known->second);
            ask(out, *connect(context, spec), now, recorded_identity(view, spec.name),
                options.known_slots);
            out.piled_up = piled_up_log(context.group.log_guard, out.slot);
        } catch (const Error& error) {
            out.error = error.what();
            out.other_cluster = error.code() == base::Code::identity_mismatch;
        }
    }
    auto stored = view.members.find(spec.name);
    out.chain = "no log stored";
    if (stored == view.members.end()) return out;
    out.has_left = !stored->second.identities.empty() && !recorded_member(stored->second);
    describe_chain(out, stored->second);
    compare(out, context.storage(), stored->second);
    if (!stored->second.backups.empty()) out.backup = stored->second.backups.front();
    return out;
}

} // namespace

bool run_failed(int exit_code)
{
    using base::Code;
    for (auto fine : {Code::ok, Code::warnings, Code::lease_held, Code::cancelled})
        if (exit_code == static_cast<int>(fine)) return false;
    return true;
}

bool stores_something(const std::string& command)
{
    return command == "run" || command == "backup" || command == "mark" || command == "log";
}

bool counts_as_failed(const model::Run& run)
{
    return stores_something(run.command) && run_failed(run.exit_code) && !is_mistyped(run);
}

bool makes_good(const model::Run& run, const std::string& command)
{
    using base::Code;
    if (run.exit_code != static_cast<int>(Code::ok) &&
        run.exit_code != static_cast<int>(Code::warnings))
        return false;
    // Both do all that the others do.
    return run.command == command || (run.set && (run.command == "run" || run.command == "backup"));
}

std::optional<model::Run> not_made_good(const std::optional<model::Run>& failed,
                                        const std::vector<repo::StoredRun>& recorded)
{
    if (!failed || !counts_as_failed(*failed)) return std::nullopt;
    bool good = std::ranges::any_of(recorded, [&](const repo::StoredRun& run) {
        return run.value.ended > failed->ended && makes_good(run.value, failed->command);
    });
    return good ? std::nullopt : failed;
}

std::vector<engine::OwnSlot> stray_slots(engine::Session& session,
                                         const std::vector<std::string>& known)
{
    if (known.empty()) return {};
    auto slots = session.own_slots();
    std::erase_if(slots, [&](const engine::OwnSlot& slot) {
        return std::ranges::find(known, slot.name) != known.end();
    });
    return slots;
}

GroupStatus read_status(const Context& context, const repo::RepositoryView& view,
                        const StatusOptions& options)
{
    GroupStatus out;
    out.group = context.group.name;
    out.now = context.clock.now();
    out.has_marks = !view.marks.empty();
    out.unreadable = view.unreadable;
    if (auto newest = repo::newest_restorable(view)) {
        auto found = std::find_if(view.marks.begin(), view.marks.end(),
                                  [&](const auto& mark) { return mark.number() == *newest; });
        if (found != view.marks.end()) out.restorable = *found;
    }
    std::vector<const model::Mark*> marks;
    for (const auto& mark : view.marks)
        marks.push_back(&mark.value);
    if (!marks.empty()) out.lost = model::lost_up_to(marks, *marks.front());
    auto proofs = repo::Drills(context.storage(), out.group).proofs();
    out.proof = proofs.newest;
    out.last_drill = proofs.last;
    out.unreadable.merge(proofs.unreadable);
    out.objective = model::compare_objective(
        context.group.objective,
        out.restorable ? std::optional{out.restorable->value.created} : std::nullopt, out.proof,
        out.now);
    read_runs(out, context, options);
    out.full_running = running_backup(context);
    for (const auto& set : view.sets) {
        if (set.value.kind != model::SetKind::full) continue;
        out.last_full = set;
        break;
    }
    out.damage = model::damage_found_since(marks, out.last_full ? out.last_full->value.started
                                                                : base::Time::min());
    if (options.ask_members) read_full_backups(out, context, view);
    for (const auto& [name, stored] : view.members) {
        if (options.ask_members &&
            std::ranges::count(context.group.members, name, &model::MemberSpec::name) == 0)
            (recorded_member(stored) ? out.unnamed : out.left).push_back(name);
    }
    Crew crew(member_names(context.group), context.stop);
    out.members.resize(crew.size());
    crew.run([&](std::size_t i, std::stop_token) {
        out.members[i] = describe_member(context, context.group.members[i], view, options, out.now);
    });
    return out;
}

} // namespace tidemark::job
