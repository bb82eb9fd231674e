#include "job/log_guard.h"

#include "base/error.h"
#include "base/log.h"
#include "job/context.h"
#include "job/crew.h"
#include "job/group_log.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>

namespace tidemark::job {

namespace {

/// A server that is in trouble answers late; a guard must not hang on it.
constexpr auto kPatience = std::chrono::seconds{10};
/// What fails sooner costs little when it is tried again.
constexpr auto kLongWait = std::chrono::seconds{2};

std::string percent(double share)
{
    return fmt::format("{:.0f} %", share * 100);
}

/// One that answers, though late, must not be taken for absent: as long as a mark would wait.
base::Duration patience(const GuardedGroup& guarded)
{
    return std::max<base::Duration>(kPatience, guarded.group.mark_wait);
}

std::unique_ptr<engine::Session> reach(const GuardedGroup& guarded, const model::MemberSpec& member)
{
    auto within = std::chrono::ceil<std::chrono::milliseconds>(patience(guarded));
    auto config = member_config(guarded.group, member);
    config.within = within;
    auto session = guarded.engine(member).connect(config);
    session->set_deadline(std::chrono::steady_clock::now() + within);
    return session;
}

/// What a mark that waits for this member would end with (job/mark.cpp).
base::Error as_a_mark_says(const base::Error& error, const std::string& member, bool late)
{
    return {
        late ? base::Code::mark_not_placed : error.code(),
        fmt::format("{}member {}: {}", late ? "no mark was placed: " : "", member, error.what()),
        {.hint = error.hint(), .transient = true}};
}

/// Looks at every member's slot, all at once; `act` runs on the member's own thread.
void for_each_slot(const GuardedGroup& guarded,
                   const std::function<void(const model::MemberSpec&, engine::Session&,
                                            const engine::SlotState&)>& act)
{
    Crew crew(member_names(guarded.group), guarded.stop);
    crew.run([&](std::size_t i, std::stop_token) {
        const auto& member = guarded.group.members[i];
        if (guarded.absent->has(member.name)) return;
        auto began = std::chrono::steady_clock::now();
        try {
            auto session = reach(guarded, member);
            auto slot = session->slot();
            if (slot.exists && !slot.lost) act(member, *session, slot);
        } catch (const base::Error& error) {
            base::log_debug("log guard: {}: {}", member.name, error.what());
            auto waited = std::chrono::steady_clock::now() - began;
            if (error.transient() && waited >= kLongWait)
                guarded.absent->add(member.name, as_a_mark_says(error, member.name,
                                                                waited >= guarded.group.mark_wait));
        }
    });
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

void watch_held_log(const GuardedGroup& guarded)
{
    auto known = guarded.clusters();
    for_each_slot(guarded, [&](const auto& member, auto& session, const auto& slot) {
        auto pressure = log_pressure(slot);
        if (guard_action(guarded.group.log_guard, slot, pressure) == GuardAction::none) return;
        // Whoever backs it up says whose it is.
        if (known && !not_ours(known, member.name, session).empty()) return;
        guarded.progress.warn(fmt::format("{}: our slot held {} of log when this run began, {} {}",
                                          member.name, base::format_size(slot.held_bytes),
                                          percent(pressure.share), pressure.where));
    });
}

namespace {

class Relief {
public:
    explicit Relief(const GuardedGroup& guarded) : guarded_(guarded), known_(guarded.clusters()) {}

    std::vector<std::string> run()
    {
        for_each_slot(guarded_, [&](const auto& member, auto& session, const auto& slot) {
            relieve(member.name, session, slot);
        });
        std::sort(said_.begin(), said_.end());
        return said_;
    }

private:
    void relieve(const std::string& member, engine::Session& session, const engine::SlotState& slot)
    {
        auto pressure = log_pressure(slot);
        auto action = guard_action(guarded_.group.log_guard, slot, pressure);
        auto held = fmt::format("{} of log, {} {}", base::format_size(slot.held_bytes),
                                percent(pressure.share), pressure.where);
        auto why = not_ours(known_, member, session);
        if (!why.empty()) {
            if (action != GuardAction::none)
                guarded_.progress.warn(fmt::format("{}: the slot {} there holds {}, and is left "
                                                   "alone: {}",
                                                   member, slot_name(guarded_.group.name), held,
                                                   why));
            return;
        }
        relieve_standbys(member, session);
        if (action == GuardAction::none) return;
        if (action == GuardAction::warn) {
            guarded_.progress.warn(
                fmt::format("{}: log is not being backed up and our slot holds {}", member, held));
            return;
        }
        session.drop_slot();
        say(fmt::format("{}: THE LOG CHAIN IS BROKEN: our slot held {}, and was dropped before the "
                        "server's disk is full (log_guard.drop); no mark can be restored from here "
                        "to the next full backup, which the next run takes",
                        member, held));
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
    std::optional<KnownClusters> known_;
    std::mutex mutex_;
    std::vector<std::string> said_;
};

} // namespace

std::vector<std::string> relieve_servers(const GuardedGroup& guarded)
{
    return Relief(guarded).run();
}

} // namespace tidemark::job
