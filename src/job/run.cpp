#include "job/run.h"

#include "base/error.h"
#include "job/meanwhile.h"
#include "model/schedule.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// Clocks of two hosts differ by less. A start that lies further ahead of now comes from a clock
/// that was wrong.
constexpr base::Duration kClockSlack = std::chrono::minutes{5};

constexpr const char* kBroken = "the log chain is broken";
constexpr const char* kStopped = "log backups cannot go on";

/// The newest complete full backup, at most.
const repo::StoredSet* newest_full(const repo::RepositoryView& view,
                                   base::Time started_by = base::Time::max())
{
    for (const auto& set : view.sets) {
        if (set.value.kind == model::SetKind::full && set.value.started <= started_by) return &set;
    }
    return nullptr;
}

/// Whether a full backup is due by the schedule alone.
RunDecision decide_by_schedule(const model::GroupSpec& group, const repo::RepositoryView& view,
                               const repo::StoredSet& newest, base::Time now)
{
    auto zone = base::TimeZone::find(group.zone);
    RunDecision out;
    // Else no full backup would be due before the time that a wrong clock showed.
    const auto* full = newest_full(view, now + kClockSlack);
    auto last = model::last_due(group.full, zone, now);
    if (last && full != &newest) {
        out.warning = fmt::format(
            "the newest full backup says that it began at {}, which is still to come: the clock of "
            "its host was ahead, or ours is behind; the schedule goes by the full backups before "
            "it",
            base::format_time_human(newest.value.started));
    }
    if (last && (full == nullptr || *last > full->value.started)) {
        out.full = true;
        out.why = "it was due at " + base::format_time_human(*last);
        return out;
    }
    auto next = model::next_due(group.full, zone, now);
    out.why = next ? "the next full backup is due at " + base::format_time_human(*next)
                   : "full backups are off";
    return out;
}

std::string pause_sentence(const FailedFulls& failed, base::Time until)
{
    auto which = failed.count == 1 ? std::string("the last one failed")
                                   : fmt::format("the last {} failed", failed.count);
    return fmt::format("{}, the newest at {}: it is tried again at {}, and `tidemark backup` takes "
                       "one at once",
                       which, base::format_time_human(failed.last), base::format_time_human(until));
}

class Runner {
public:
    Runner(const Context& context, LogFails log_fails)
        : context_(context), log_fails_(std::move(log_fails))
    {
    }

    RunOutcome run()
    {
        auto view = load();
        failed_ = read_failed_fulls(context_.storage(), view);
        outcome_.decision = decide_run(context_.group, view, context_.clock.now(), failed_);
        if (!outcome_.decision.warning.empty()) context_.progress.warn(outcome_.decision.warning);
        if (outcome_.decision.broken) {
            heal(kBroken, outcome_.decision.why);
        } else if (!outcome_.decision.full) {
            mark();
        }
        if (outcome_.decision.full) full(!view.sets.empty());
        return std::move(outcome_);
    }

private:
    repo::RepositoryView load() const
    {
        return repo::load_recent(context_.storage(), context_.group.name, false);
    }

    /// A mark that can be restored; or a full backup is decided on.
    void mark()
    {
        try {
            outcome_.mark = place_mark(context_, MarkOptions{});
        } catch (const Error& error) {
            if (error.code() != Code::log_gap) throw;
            mark_failed_ = stopped_ = true;
            // Where only the slot is gone, the server may still have all log.
            heal(kStopped, error.what());
            if (!outcome_.decision.full) throw;
            return;
        }
        auto plan = repo::plan_restore(load(), outcome_.mark.mark.number());
        if (plan.plan) return;
        mark_failed_ = true;
        const auto& first = plan.obstacles.front();
        heal(kBroken, first.member.empty() ? first.text : first.member + ": " + first.text);
    }

    void heal(const std::string& what, const std::string& why)
    {
        auto until = paused_until(failed_, Need::chain, context_.clock.now());
        if (until) {
            if (!outcome_.decision.paused)
                context_.progress.warn(
                    fmt::format("{}: {}; {}", what, why, pause_sentence(failed_, *until)));
            outcome_.decision.paused = true;
            return;
        }
        context_.progress.warn(fmt::format("{}, so a full backup is taken at once: {}", what, why));
        outcome_.decision = {.full = true, .broken = true, .why = what + ": " + why};
        outcome_.healed = true;
    }

    /// What the backup found where a slot was gone.
    void tell_gap()
    {
        const auto& members = outcome_.backup->members;
        if (!outcome_.healed) return;
        if (std::ranges::any_of(members, &BackupOutcome::Member::new_chain))
            outcome_.decision.why += "; log is missing, a new chain begins";
        else if (stopped_ && std::ranges::any_of(members, &BackupOutcome::Member::new_slot))
            outcome_.decision.why += "; the slot is made anew, there is no gap";
    }

    void full(bool had_chain)
    {
        context_.progress.note("full backup: " + outcome_.decision.why);
        try {
            std::optional<Meanwhile> meanwhile;
            if (had_chain && !mark_failed_) {
                meanwhile.emplace(context_, "mark", context_.group.mark_every,
                                  [](const Context& aside) { place_mark(aside, MarkOptions{}); });
            }
            BackupOptions options;
            options.counts_anew = outcome_.decision.broken && failed_.before_break;
            options.by_schedule = outcome_.decision.by_schedule;
            options.log_fails = log_fails_;
            outcome_.backup = back_up_group(context_, options);
            if (meanwhile) outcome_.marks_meanwhile = meanwhile->finish();
            outcome_.mark = outcome_.backup->closing;
            tell_gap();
        } catch (const Error& error) {
            if (mark_failed_ || !had_chain || error.code() == Code::cancelled) throw;
            // The log goes on whatever became of the backup.
            outcome_.mark = place_mark(context_, MarkOptions{});
            if (error.code() != Code::lease_held) throw;
            context_.progress.note(
                fmt::format("no second full backup beside the one that runs: {}", error.what()));
            outcome_.healed = false;
            outcome_.decision = {.full = false, .why = "another process takes the full backup"};
        }
    }

    const Context& context_;
    LogFails log_fails_;
    RunOutcome outcome_;
    FailedFulls failed_;
    bool mark_failed_ = false;
    bool stopped_ = false; ///< because log could not be received: what is stored is whole
};

/// What fails sooner costs little when it is tried again.
constexpr auto kLongWait = std::chrono::seconds{2};

void not_backed_up(const Context& context, const std::string& member, const Error& why)
{
    context.progress.note(
        fmt::format("{}: its log is not backed up either: {}", member, why.what()));
}

/// Whether the member can be connected to. Only who cannot is absent: one whose log stream hangs
/// answers whoever asks for its state or drops its slot.
bool answers(const Context& context, const model::MemberSpec& member, Absent& absent)
{
    auto began = context.clock.steady();
    try {
        base::with_context("member " + member.name, [&] { connect(context, member); });
        return true;
    } catch (const Error& error) {
        not_backed_up(context, member.name, error);
        if (error.code() == Code::member_unreachable && error.transient() &&
            context.clock.steady() - began >= kLongWait)
            absent.add(member.name, error);
        return false;
    }
}

/// Another job that holds the lease takes the log; and who was told to stop, stops.
bool nobody_takes_the_log(const Error& error)
{
    return error.code() != Code::lease_held && error.code() != Code::cancelled;
}

/// One member that is down must not fill the disks of the others: no mark can be placed, but the
/// log of whoever answers is taken.
void save_each_log(const Context& context, Absent& absent, const std::stop_token& stop)
{
    for (const auto& member : context.group.members) {
        if (stop.stop_requested()) return;
        if (absent.has(member.name) || !answers(context, member, absent)) continue;
        auto alone = context.group;
        alone.members = {member};
        try {
            back_up_log(context.for_group(alone));
            context.progress.note(member.name + ": its log is backed up all the same");
        } catch (const Error& error) {
            not_backed_up(context, member.name, error);
        }
    }
}

} // namespace

namespace {

/// Whether one is wanted, whatever became of those before it.
std::pair<RunDecision, Need> decide_unpaused(const model::GroupSpec& group,
                                             const repo::RepositoryView& view, base::Time now)
{
    auto needed = [](RunDecision decision) { return std::pair{std::move(decision), Need::chain}; };
    const auto* full = newest_full(view);
    if (full == nullptr) return needed({.full = true, .why = "there is no complete one yet"});
    for (const auto& member : group.members) {
        auto known = view.members.find(member.name);
        if (known == view.members.end() || known->second.backups.empty())
            return needed({.full = true, .why = member.name + " has no base backup yet"});
    }
    // A moment of the past may need backups that a view of the present does not hold.
    auto mark = std::ranges::find_if(
        view.marks, [](const repo::StoredMark& one) { return !one.value.is_moment(); });
    if (mark != view.marks.end()) {
        auto plan = repo::plan_restore(view, mark->number());
        if (!plan.plan && !plan.obstacles.empty()) {
            return needed({.full = true,
                           .broken = true,
                           .why = fmt::format("the newest mark cannot be restored: {}",
                                              plan.obstacles.front().text)});
        }
    }
    return {decide_by_schedule(group, view, *full, now), Need::schedule};
}

} // namespace

RunDecision decide_run(const model::GroupSpec& group, const repo::RepositoryView& view,
                       base::Time now, const FailedFulls& failed)
{
    auto [out, need] = decide_unpaused(group, view, now);
    out.by_schedule = out.full && need == Need::schedule;
    auto until = out.full ? paused_until(failed, need, now) : std::nullopt;
    if (!until) return out;
    out.full = out.broken = out.by_schedule = false;
    out.paused = true;
    if (!out.warning.empty()) out.warning += "; ";
    out.warning += fmt::format("a full backup is wanted ({}), but {}", out.why,
                               pause_sentence(failed, *until));
    out.why = fmt::format("full backups failed; the next try is due at {}",
                          base::format_time_human(*until));
    return out;
}

RunOutcome run_scheduled(const Context& context, Absent& absent, const LogFails& log_fails)
{
    try {
        for (const auto& [member, why] : absent.all())
            throw Error(why);
        return Runner(context, log_fails).run();
    } catch (const Error& error) {
        if (nobody_takes_the_log(error)) save_each_log(context, absent, context.stop);
        throw;
    }
}

LogOutcome back_up_log_of_all(const Context& context, const std::stop_token& stop)
{
    try {
        return back_up_log(context);
    } catch (const Error& error) {
        Absent absent;
        if (nobody_takes_the_log(error)) save_each_log(context, absent, stop);
        throw;
    }
}

RunOutcome run_scheduled(const Context& context)
{
    Absent absent;
    return run_scheduled(context, absent);
}

} // namespace tidemark::job
