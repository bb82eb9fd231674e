#pragma once

#include "job/context.h"
#include "repo/intents.h"
#include "repo/restore_plan.h"

#include <memory>

namespace tidemark::job {

/// Tells the repository what a plan reads, for as long as this lives: retention leaves it alone,
/// however long it takes (docs/repository-format.md, intents). Waits while an `expire` that may not
/// have seen it is about to remove some of it. Error{not_restorable} when that is gone already. A
/// repository that cannot be written to is read all the same; a note says so.
class Reading {
public:
    Reading(const Context& context, const repo::RestorePlan& plan,
            const repo::AnnouncementOptions& options = {});

private:
    std::unique_ptr<repo::Announcement> announcement_;
};

} // namespace tidemark::job
