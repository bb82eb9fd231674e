#pragma once

#include "job/context.h"

namespace tidemark::job {

/// Has our slot on every standby that the member's urls name keep the log from `durable` on, so
/// that a failover to one of them leaves no gap (rules.md 14). A standby that cannot be cared for
/// is worth a warning, never an error.
void keep_log_on_standbys(const Context& context, const model::MemberSpec& member,
                          engine::Session& session, model::Offset durable);

} // namespace tidemark::job
