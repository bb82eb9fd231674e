#include "job/log_guard.h"

#include "base/error.h"
#include "base/log.h"
#include "job/context.h"
#include "job/crew.h"
#include "job/group_log.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <mutex>
#include <thread>

namespace tidemark::job {

using std::chrono::steady_clock;

namespace {

/// A server that is in trouble answers late; a guard must not hang on it.
constexpr auto kPatience = std::chrono::seconds{10};
/// The server needs a moment to see that a stream of ours has ended, and lets go of the slot.
constexpr auto kSlotIsFreeWithin = std::chrono::seconds{3};
constexpr auto kTryAgainAfter = std::chrono::milliseconds{100};

std::string percent(double share)
{
    return fmt::format("{:.0f} %", share * 100);
}

/// One that answers, though late, must not be taken for absent: as long as a mark would wait.
base::Duration patience(const GuardedGroup& guarded)
{
    return std::max<base::Duration>(kPatience, guarded.group.mark_wait);
}

void renew_deadline(const GuardedGroup& guarded, engine::Session& session)
{
    session.set_deadline(steady_clock::now() + patience(guarded));
}

std::unique_ptr<engine::Session> reach(const GuardedGroup& guarded, const model::MemberSpec& member)
{
    auto config = member_config(guarded.group, member);
    config.within = std::chrono::ceil<std::chrono::milliseconds>(patience(guarded));
    auto session = guarded.engine(member).connect(config);
    renew_deadline(guarded, *session);
    return session;
}

/// What a mark that waits for this member would end with (job/mark.cpp).
base::Error as_a_mark_says(const base::Error& error, const std::string& member)
{
    return {base::Code::mark_not_placed,
            fmt::format("no mark was placed: member {}: {}", member, error.what()),
            {.hint = error.hint(), .transient = true}};
}

/// All at once, each on a thread of its own.
void for_each_member(const GuardedGroup& guarded,
                     const std::function<void(const model::MemberSpec&)>& work)
{
    Crew crew(member_names(guarded.group), guarded.stop);
    crew.run([&](std::size_t i, std::stop_token) { work(guarded.group.members[i]); });
}

/// Why the cluster that answers is not known to be ours, or nothing.
std::string not_ours(const std::optional<KnownClusters>& known, const std::string& member,
                     engine::Session& session)
{
    if (!known)
        return "the repository cannot be asked whose cluster this is, and this host has not seen "
               "it at work before";
    auto ours = known->find(member);
    if (ours == known->end()) return "nothing of this member was ever recorded";
    auto answers = session.identify().system_id;
    if (answers == ours->second) return {};
    return fmt::format("another cluster answers there: its system identifier is {}, ours is {}",
                       answers, ours->second);
}

} // namespace

LogPressure log_pressure(const engine::SlotState& slot)
{
    LogPressure out{.share = 0, .where = "no bound is known"};
    auto held = static_cast<double>(slot.held_bytes);
    if (slot.bound_bytes && *slot.bound_bytes > 0) {
        out.share = held / static_cast<double>(*slot.bound_bytes);
        out.where = "of its bound of " + base::format_size(*slot.bound_bytes);
    }
    if (slot.disk_free) {
        auto room = held + static_cast<double>(*slot.disk_free);
        if (room > 0 && held / room > out.share) {
            out.share = held / room;
            out.where = fmt::format("of the room on its disk, {} are left",
                                    base::format_size(*slot.disk_free));
        }
    }
    return out;
}

GuardAction guard_action(const model::LogGuard& policy, const engine::SlotState& slot,
                         const LogPressure& pressure)
{
    if (!slot.exists || slot.lost) return GuardAction::none;
    if (policy.drop && pressure.share >= *policy.drop) return GuardAction::drop;
    return pressure.share >= policy.warn ? GuardAction::warn : GuardAction::none;
}

std::string piled_up_log(const model::LogGuard& policy, const engine::SlotState& slot)
{
    auto pressure = log_pressure(slot);
    if (guard_action(policy, slot, pressure) == GuardAction::none) return {};
    return fmt::format("our slot holds {} of log, {} {}", base::format_size(slot.held_bytes),
                       percent(pressure.share), pressure.where);
}

void check_held_log(const model::LogGuard& policy, const engine::SlotState& slot,
                    std::vector<engine::Check>& checks)
{
    auto piled_up = piled_up_log(policy, slot);
    if (piled_up.empty()) return;
    for (auto& check : checks) {
        if (check.name != "slot" || check.state != engine::CheckState::ok) continue;
        check.state = engine::CheckState::waiting;
        check.cause = piled_up;
        check.fix = "tidemark log stores it; then find out why runs stopped or come too rarely";
    }
}

namespace {

class Watch {
public:
    explicit Watch(const GuardedGroup& guarded) : guarded_(guarded), known_(guarded.clusters()) {}

    void look_at(const model::MemberSpec& member) const
    {
        auto began = guarded_.clock.steady();
        std::unique_ptr<engine::Session> session;
        try {
            session = reach(guarded_, member);
            look_at_slot(member.name, *session);
        } catch (const base::Error& error) {
            base::log_debug("log guard: {}: {}", member.name, error.what());
            // One that answers late may answer whoever waits longer.
            bool late = guarded_.clock.steady() - began >= guarded_.group.mark_wait;
            if (!late || !error.transient()) return;
            guarded_.absent->add(member.name, as_a_mark_says(error, member.name));
            if (!session) guarded_.unreached->add(member.name, error);
        }
    }

private:
    void look_at_slot(const std::string& member, engine::Session& session) const
    {
        auto slot = session.slot();
        auto pressure = log_pressure(slot);
        if (guard_action(guarded_.group.log_guard, slot, pressure) == GuardAction::none) return;
        // Whoever backs it up says whose it is.
        if (known_ && !not_ours(known_, member, session).empty()) return;
        guarded_.progress.warn(fmt::format("{}: our slot held {} of log when this run began, {} {}",
                                           member, base::format_size(slot.held_bytes),
                                           percent(pressure.share), pressure.where));
    }

    const GuardedGroup& guarded_;
    const std::optional<KnownClusters> known_;
};

class Relief {
public:
    explicit Relief(const GuardedGroup& guarded)
        : guarded_(guarded), known_(guarded.clusters()), unreached_(guarded.unreached->all())
    {
    }

    std::vector<std::string> run()
    {
        for_each_member(guarded_, [&](const model::MemberSpec& member) { look_at(member); });
        std::sort(said_.begin(), said_.end());
        return said_;
    }

private:
    void look_at(const model::MemberSpec& member)
    {
        if (auto why = unreached_.find(member.name); why != unreached_.end()) {
            cannot_look(member.name, why->second);
            return;
        }
        try {
            auto session = reach(guarded_, member);
            auto slot = session->slot();
            if (slot.exists && !slot.lost) relieve(member.name, *session, slot);
        } catch (const base::Error& error) {
            cannot_look(member.name, error);
        }
    }

    void warn(const std::string& member, const char* about, const std::string& sentence)
    {
        std::lock_guard lock(mutex_);
        bool first = !guarded_.warned || guarded_.warned->insert(member + ": " + about).second;
        if (first)
            guarded_.progress.warn(sentence);
        else
            guarded_.progress.note(sentence);
    }

    void warn_if_lasting(const std::string& member, const char* about, const std::string& sentence)
    {
        if (guarded_.lasting)
            warn(member, about, sentence);
        else
            guarded_.progress.note(sentence);
    }

    void cannot_look(const std::string& member, const base::Error& why)
    {
        warn_if_lasting(member, "cannot look",
                        fmt::format("{}: log is not being backed up, and the log guard cannot look "
                                    "how much our slot holds: {}",
                                    member, why.what()));
    }

    void relieve(const std::string& member, engine::Session& session, const engine::SlotState& slot)
    {
        auto pressure = log_pressure(slot);
        auto action = guard_action(guarded_.group.log_guard, slot, pressure);
        auto held = fmt::format("{} of log, {} {}", base::format_size(slot.held_bytes),
                                percent(pressure.share), pressure.where);
        auto why = not_ours(known_, member, session);
        if (!why.empty()) {
            if (action != GuardAction::none)
                warn(member, "not ours",
                     fmt::format("{}: the slot {} there holds {}, and is left alone: {}", member,
                                 slot_name(guarded_.group.name), held, why));
            return;
        }
        // First what keeps production going.
        if (action == GuardAction::drop) {
            drop(member, session, held);
        } else if (action == GuardAction::warn) {
            warn(member, "holds",
                 fmt::format("{}: log is not being backed up and our slot holds {}", member, held));
        }
        try {
            renew_deadline(guarded_, session);
            relieve_standbys(member, session);
        } catch (const base::Error& error) {
            warn_if_lasting(
                member, "standbys",
                fmt::format("{}: the log guard cannot look at our slots on its standbys: {}",
                            member, error.what()));
        }
    }

    void drop(const std::string& member, engine::Session& session, const std::string& held)
    {
        try {
            renew_deadline(guarded_, session);
            drop_when_free(session);
        } catch (const base::Error& error) {
            warn(
                member, "cannot drop",
                fmt::format(
                    "{}: OUR SLOT HOLDS {}, AND COULD NOT BE DROPPED (log_guard.drop): {}; drop {} "
                    "there before the server's disk is full",
                    member, held, error.what(), slot_name(guarded_.group.name)));
            return;
        }
        say(fmt::format("{}: THE LOG CHAIN IS BROKEN: our slot held {}, and was dropped before the "
                        "server's disk is full (log_guard.drop); no mark can be restored from here "
                        "to the next full backup, which the next run takes",
                        member, held));
    }

    void drop_when_free(engine::Session& session)
    {
        auto until = steady_clock::now() + kSlotIsFreeWithin;
        while (true) {
            try {
                session.drop_slot();
                return;
            } catch (const base::Error& error) {
                bool in_use = error.code() == base::Code::member_not_ready && error.transient();
                if (!in_use || guarded_.stop.stop_requested() || steady_clock::now() >= until)
                    throw;
            }
            std::this_thread::sleep_for(kTryAgainAfter);
        }
    }

    /// Our slots on standbys are for a failover only: losing them breaks nothing by itself. The
    /// engine compares them with their primary.
    void relieve_standbys(const std::string& member, engine::Session& session)
    {
        std::vector<std::string> sentences;
        for (const auto& standby : session.standbys({})) {
            auto action =
                guard_action(guarded_.group.log_guard, standby.slot, log_pressure(standby.slot));
            if (action != GuardAction::drop) continue;
            sentences.push_back(fmt::format(
                "{}: our slot on standby {} held {} and was dropped before its disk is full; a "
                "failover to it now would leave a gap in the log",
                member, standby.where, base::format_size(standby.slot.held_bytes)));
        }
        if (sentences.empty()) return;
        session.standbys({.what = engine::StandbyOrder::What::drop_slot});
        for (const auto& sentence : sentences)
            say(sentence);
    }

    void say(const std::string& sentence)
    {
        guarded_.progress.warn(sentence);
        std::lock_guard lock(mutex_);
        if (guarded_.dropped) guarded_.dropped(sentence);
        said_.push_back(sentence);
    }

    const GuardedGroup& guarded_;
    const std::optional<KnownClusters> known_;
    const std::map<std::string, base::Error> unreached_;
    std::mutex mutex_;
    std::vector<std::string> said_;
};

} // namespace

void watch_held_log(const GuardedGroup& guarded)
{
    Watch watch(guarded);
    for_each_member(guarded, [&](const model::MemberSpec& member) { watch.look_at(member); });
}

std::vector<std::string> relieve_servers(const GuardedGroup& guarded)
{
    return Relief(guarded).run();
}

} // namespace tidemark::job
