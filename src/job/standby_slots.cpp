#include "job/standby_slots.h"

#include "base/error.h"

#include <fmt/format.h>

namespace tidemark::job {

using base::Error;
using engine::StandbyOrder;

namespace {

std::string trouble(const engine::Standby& standby)
{
    auto text = fmt::format("standby {}: {}", standby.where, standby.problem);
    if (standby.accepts_writes) return "server " + text.substr(8);
    if (!standby.slot.exists) text += "; a failover to it now could leave a gap in the log";
    return text;
}

} // namespace

void keep_log_on_standbys(const Context& context, const model::MemberSpec& member,
                          engine::Session& session, model::Offset durable)
{
    try {
        auto all = session.standbys({.what = StandbyOrder::What::keep_log, .durable = durable});
        for (const auto& standby : all) {
            if (standby.slot_made)
                context.progress.note(
                    fmt::format("{}: our slot was made on standby {}", member.name, standby.where));
            if (!standby.problem.empty())
                context.progress.warn(member.name + ": " + trouble(standby));
        }
    } catch (const Error& error) {
        // The log is stored; only its copies' slots were not looked after.
        context.progress.warn(
            fmt::format("{}: its standbys were not looked after: {}", member.name, error.what()));
    }
}

} // namespace tidemark::job
