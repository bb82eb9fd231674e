#include "job/backup.h"

#include "base/error.h"
#include "job/failed_full.h"
#include "job/init.h"
#include "job/meanwhile.h"
#include "job/member_backup.h"
#include "job/member_history.h"
#include "job/membership.h"
#include "job/run.h"
#include "model/gid_text.h"
#include "repo/identities.h"
#include "repo/layout.h"
#include "repo/log_catalog.h"
#include "repo/tombstones.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fmt/format.h>
#include <set>

namespace tidemark::job {

using base::Error;

namespace {

/// Another job may be placing a mark or catching up when the backup wants its closing mark.
constexpr auto kClosingPatience = std::chrono::minutes{10};
/// For a question whose answer the backup can do without.
constexpr auto kQuestionPatience = std::chrono::seconds{10};
constexpr base::Duration kLogPause = std::chrono::minutes{1};
/// Who stops one by hand because it was a mistake does so sooner.
constexpr base::Duration kMuchWork = std::chrono::minutes{5};

/// A slot that stands beyond everything we stored or meant to store was moved by somebody else
/// (made by hand, or confirmed for another copy of this repository): what lies between is gone.
bool slot_ran_ahead(const Context& context, const model::MemberSpec& member,
                    engine::Session& session, const engine::SlotState& slot)
{
    model::MemberId id{.group = context.group.name, .member = member.name};
    auto recorded = repo::Identities(context.storage(), id).latest();
    if (!recorded) return false;
    auto identity = session.identify();
    repo::check_identity(recorded->value, identity);
    auto history = compare_history(context, id, session, identity.position.epoch).history;
    auto catalog = repo::LogCatalog::load(context.storage(), id);
    require_branch(catalog, recorded->value, history);
    if (!slot.restart) return false;
    auto stored = recorded->value.log_start.offset;
    if (auto end = catalog.durable_end(history)) stored = std::max(stored, end->offset);
    // A chain begins at a segment's first byte, the slot somewhere in that segment.
    return *slot.restart - *slot.restart % recorded->value.identity.log_segment_size > stored;
}

/// The server may have kept all log although no slot asked it to.
bool leaves_gap(const Context& context, const model::MemberIdentity& begun)
{
    auto epoch = begun.identity.position.epoch;
    auto history =
        begun.history ? model::parse_history(epoch, *begun.history) : model::History(epoch);
    auto end = repo::LogCatalog::load(context.storage(),
                                      {.group = context.group.name, .member = begun.member})
                   .durable_end(history);
    return !end || end->offset < begun.log_start.offset;
}

/// Makes sure that the log from the backup's start on is being kept: a slot that is missing, lost
/// or ahead of us is made anew, and a new chain of log begins.
void keep_log(const Context& context, const model::MemberSpec& member, engine::Session& session,
              BackupOutcome::Member& outcome)
{
    auto slot = session.slot();
    bool ahead = slot_ran_ahead(context, member, session, slot) && slot.exists && !slot.lost;
    if (slot.exists && !slot.lost && !ahead) return;
    auto lease = repo::Lease::acquire(context.storage(), context.group.name, "log", context.owner(),
                                      {.ttl = context.lease_ttl});
    std::string reason = ahead         ? "the slot stands beyond the stored log"
                         : slot.exists ? "the slot was lost"
                                       : "the slot was missing";
    bool gap = leaves_gap(context, begin_chain(context, member, session, *lease, reason));
    auto what = gap ? "so log between the last log backup and now is a gap; a new chain begins "
                      "with this backup"
                    : "and is made anew; the server still had all log, so there is no gap";
    context.progress.warn(fmt::format("{}: {}, {}", member.name, reason, what));
    outcome.new_slot = true;
    outcome.new_chain = gap;
}

/// A backup begins with a checkpoint, and with it the server takes back what a slot holds beyond
/// its bound: what it holds until now is stored first. Where that fails the backup may still work.
void store_held_log(const Context& context)
{
    try {
        back_up_log(context);
    } catch (const Error& error) {
        if (error.code() == base::Code::cancelled || error.code() == base::Code::identity_mismatch)
            throw;
        if (error.code() == base::Code::lease_held) return; // whoever holds it stores the log
        context.progress.note(
            fmt::format("no log backup before the full backup begins: {}", error.what()));
    }
}

/// What lay in pg_twophase of a base backup (rules.md 6), is prepared to this moment, and is not in
/// doubt at the mark: nobody knows its verdict, and a restore would end when it finds it. One that
/// was finished meanwhile is in the log, known or counted as unknown.
void warn_of_unknown_prepared(const Context& context, GroupLog& log, const BackupOutcome& outcome,
                              const model::Mark& mark)
{
    for (std::size_t i = 0; i < log.size(); ++i) {
        const auto& manifest = outcome.members[i].manifest.value;
        std::set<std::uint32_t> unknown(manifest.prepared_xids.begin(),
                                        manifest.prepared_xids.end());
        for (const auto& doubt : mark.at.in_doubt)
            if (doubt.branch.member == manifest.member) unknown.erase(doubt.branch.xid);
        if (unknown.empty()) continue;
        try {
            log.session(i).set_deadline(std::chrono::steady_clock::now() + kQuestionPatience);
            for (const auto& branch : log.session(i).prepared()) {
                if (!unknown.contains(branch.xid)) continue;
                context.progress.warn(fmt::format(
                    "{}: the base backup holds the prepared transaction {} (xid {}), which the "
                    "mark does not know: a restore to it will refuse to decide; settle it, and "
                    "take "
                    "another backup",
                    manifest.member, model::gid_word(branch.gid), branch.xid));
            }
        } catch (const Error& error) {
            // The backup is whole, and a restore compares once more.
            context.progress.note(fmt::format("{}: what is prepared was not compared with the mark "
                                              "({})",
                                              manifest.member, error.what()));
        }
    }
}

/// A process that slept for a day has backups that no set names, and retention has taken them for
/// left over.
void refuse_condemned(const Context& context, const BackupOutcome& outcome)
{
    auto condemned = repo::condemned_keys(context.storage(), context.group.name);
    for (const auto& member : outcome.members)
        if (condemned.contains(member.manifest.value.page_map.key))
            throw Error{base::Code::lease_held,
                        fmt::format("this process stood still for so long that retention began to "
                                    "remove backup {} of member {}",
                                    member.manifest.number(), member.name),
                        {.hint = "run the same command again"}};
}

MarkOutcome close(const Context& context, const BackupOptions& options, BackupOutcome& outcome,
                  base::Time started)
{
    MarkOptions closing{.name = options.mark_name, .backups = {}, .started = started};
    for (const auto& member : outcome.members) {
        outcome.damaged = outcome.damaged || member.manifest.value.is_damaged();
        closing.backups.emplace(
            member.name, MarkOptions::Taken{member.manifest.number(), member.manifest.value.stop});
    }
    GroupLog log(context, kClosingPatience);
    try {
        check_mark_name(context, closing.name);
    } catch (const Error& error) {
        // Not worth the backups: the set is closed by a mark without a name.
        context.progress.warn(
            fmt::format("{}; the closing mark of this backup has no name", error.what()));
        closing.name.clear();
    }
    log.open();
    log.catch_up();
    refuse_condemned(context, outcome);
    auto mark = place_mark(context, log, closing);
    log.finish();
    warn_of_unknown_prepared(context, log, outcome, mark.mark.value);
    return mark;
}

/// One member that is down must cost neither the slots of the others nor the room on their disks,
/// and the copying does not notice it for hours.
class LogMeanwhile {
public:
    LogMeanwhile(const Context& context, const BackupOptions& options,
                 std::function<void()> give_up)
        : stop_(context.stop), log_fails_(options.log_fails), give_up_(std::move(give_up))
    {
    }

    void store(const Context& aside)
    {
        try {
            back_up_log_of_all(aside, stop_);
            failed_ = 0;
        } catch (const std::exception& error) {
            const auto* known = dynamic_cast<const Error*>(&error);
            if (known != nullptr && known->code() == base::Code::lease_held) throw;
            // Who was told to stop shall not break chains.
            if (!stop_.stop_requested() && log_fails_ && log_fails_(++failed_)) give_up_();
            throw;
        }
    }

private:
    std::stop_token stop_;
    LogFails log_fails_;
    std::function<void()> give_up_;
    int failed_ = 0; ///< in a row
};

using Sessions = std::vector<std::unique_ptr<engine::Session>>;

void copy_all(const Context& context, const BackupOptions& options, Sessions& sessions,
              BackupOutcome& outcome)
{
    // Stopped by the caller, or because the chain is broken and no mark can close this backup.
    std::stop_source end;
    std::stop_callback also(context.stop, [&] { end.request_stop(); });
    std::atomic<bool> given_up = false;
    Crew crew(member_names(context.group), end.get_token());
    LogMeanwhile log(context, options, [&] {
        given_up = true;
        end.request_stop();
    });
    // However long the copying takes, the servers' logs are fetched: a slot that waited for its end
    // would be lost on a busy group, every time.
    Meanwhile log_meanwhile(context, "log backup", std::min(context.group.mark_every, kLogPause),
                            [&](const Context& aside) { log.store(aside); });
    try {
        crew.run([&](std::size_t i, std::stop_token stop) {
            auto start = std::chrono::steady_clock::now();
            outcome.members[i].name = crew.name(i);
            outcome.members[i].manifest =
                back_up_member(context, context.group.members[i], *sessions[i], stop);
            outcome.members[i].took = std::chrono::duration_cast<base::Duration>(
                std::chrono::steady_clock::now() - start);
        });
    } catch (const Error& error) {
        if (!given_up || error.code() != base::Code::cancelled) throw;
        throw Error{base::Code::log_gap,
                    "the full backup is given up: a slot was dropped while it copied, and without "
                    "that log no mark can close it",
                    {.hint = "tidemark backup makes a new slot and starts a new chain; so does the "
                             "next tidemark run"}};
    }
    log_meanwhile.finish();
}

/// Whoever found another at work did not fail. Who was told to stop did where much was thrown away:
/// under a time limit that is shorter than the copy each run would begin with it again.
bool is_failure(const Error& error, const BackupOutcome& outcome, base::Duration took)
{
    if (error.code() != base::Code::cancelled) return error.code() != base::Code::lease_held;
    return took >= kMuchWork ||
           std::ranges::any_of(outcome.members, [](const BackupOutcome::Member& member) {
               return member.manifest.number() != 0; // its copy was finished
           });
}

} // namespace

BackupOutcome back_up_group(const Context& context, const BackupOptions& options)
{
    BackupOutcome outcome;
    auto started = context.clock.now();
    check_mark_name(context, options.mark_name); // not after hours of copying
    refuse_missing(context);
    Crew crew(member_names(context.group), context.stop);
    outcome.members.resize(crew.size());
    Sessions sessions(crew.size());
    // One after the other: each may take the log lease for a moment.
    for (std::size_t i = 0; i < crew.size(); ++i) {
        base::with_context("member " + crew.name(i), [&] {
            sessions[i] = connect(context, context.group.members[i]);
            keep_log(context, context.group.members[i], *sessions[i], outcome.members[i]);
        });
    }
    store_held_log(context);
    auto full = repo::Lease::acquire(
        context.storage(), context.group.name, kFullActivity, context.owner(),
        {.ttl = context.lease_ttl, .count_tries = true, .count_anew = options.counts_anew});
    const auto begun = context.clock.now();
    try {
        copy_all(context, options, sessions, outcome);
        outcome.closing = close(context, options, outcome, started);
    } catch (const Error& error) {
        sessions.clear();
        if (options.by_schedule && error.code() == base::Code::log_gap)
            full->succeeded(); // what comes next is no further try of this
        else if (!is_failure(error, outcome, context.clock.now() - begun))
            full->not_tried();
        throw;
    }
    full->succeeded();
    return outcome;
}

} // namespace tidemark::job
