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

std::string percent(double share)
{
    return fmt::format("{:.0f} %", share * 100);
}

/// Looks at every member's slot, all at once; `act` runs on the member's own thread.
void for_each_slot(const GuardedGroup& guarded,
                   const std::function<void(const model::MemberSpec&, engine::Session&,
                                            const engine::SlotState&)>& act)
{
    Crew crew(member_names(guarded.group), guarded.stop);
    crew.run([&](std::size_t i, std::stop_token) {
        const auto& member = guarded.group.members[i];
        try {
            auto session = guarded.engine(member).connect(member_config(guarded.group, member));
            session->set_deadline(std::chrono::steady_clock::now() + kPatience);
            auto slot = session->slot();
            if (slot.exists && !slot.lost) act(member, *session, slot);
        } catch (const base::Error& error) {
            base::log_debug("log guard: {}: {}", member.name, error.what());
        }
    });
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
    for_each_slot(guarded, [&](const auto& member, auto&, const auto& slot) {
        auto pressure = log_pressure(slot);
        if (guard_action(guarded.group.log_guard, slot, pressure) == GuardAction::none) return;
        guarded.progress.warn(fmt::format("{}: our slot held {} of log when this run began, {} {}",
                                          member.name, base::format_size(slot.held_bytes),
                                          percent(pressure.share), pressure.where));
    });
}

namespace {

/// Our slots on standbys are for a failover only: losing them breaks nothing by itself.
void relieve_standbys(const GuardedGroup& guarded, const std::string& member,
                      engine::Session& session)
{
    bool full = false;
    for (const auto& standby : session.standbys({})) {
        auto action =
            guard_action(guarded.group.log_guard, standby.slot, log_pressure(standby.slot));
        if (action != GuardAction::drop) continue;
        full = true;
        guarded.progress.warn(fmt::format("{}: our slot on standby {} held {} and is dropped "
                                          "before its disk is full; a failover to it now would "
                                          "leave a gap in the log",
                                          member, standby.where,
                                          base::format_size(standby.slot.held_bytes)));
    }
    if (full) session.standbys({.what = engine::StandbyOrder::What::drop_slot});
}

} // namespace

std::vector<std::string> relieve_servers(const GuardedGroup& guarded)
{
    std::vector<std::string> dropped;
    std::mutex mutex;
    for_each_slot(guarded, [&](const auto& member, auto& session, const auto& slot) {
        relieve_standbys(guarded, member.name, session);
        auto pressure = log_pressure(slot);
        auto action = guard_action(guarded.group.log_guard, slot, pressure);
        if (action == GuardAction::none) return;
        auto held = fmt::format("{} of log, {} {}", base::format_size(slot.held_bytes),
                                percent(pressure.share), pressure.where);
        if (action == GuardAction::warn) {
            guarded.progress.warn(fmt::format(
                "{}: log is not being backed up and our slot holds {}", member.name, held));
            return;
        }
        session.drop_slot();
        guarded.progress.warn(
            fmt::format("{}: THE LOG CHAIN IS BROKEN: our slot held {}, and was dropped before the "
                        "server's disk is full (log_guard.drop); no mark can be restored from here "
                        "to the next full backup, which the next run takes",
                        member.name, held));
        std::lock_guard lock(mutex);
        dropped.push_back(member.name);
    });
    std::sort(dropped.begin(), dropped.end());
    return dropped;
}

} // namespace tidemark::job
