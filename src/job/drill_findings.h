#pragma once

#include "engine/restore_target.h"
#include "job/context.h"
#include "job/restore.h"
#include "model/drill.h"
#include "repo/restore_plan.h"

namespace tidemark::job {

// What drills and restores show, as their reports say it.

/// Which mark it is about, where and since when; nothing has been shown yet.
model::Drill new_drill_report(const Context& context, const repo::RestorePlan& plan);
/// What a restore that came as far as open and settled servers has shown.
void add_restore(model::Drill& report, const RestoreReport& restore);
model::DrillCheck content_check(const engine::ContentCheck& content);
model::DrillCheck page_check(const engine::PageCheck& pages);

} // namespace tidemark::job
