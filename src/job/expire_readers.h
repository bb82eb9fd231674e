#pragma once

#include "model/retention.h"
#include "repo/sequence.h"

#include <string>

namespace tidemark::job {

// Whose word keeps things from retention, whatever the policy says: entered into what it goes by.

// What only a damaged generation says is known to nobody: then `lost` names it, and everything
// stays.

void add_holds(store::Storage& storage, const std::string& group, model::RetentionInput& input,
               repo::Unreadable& lost);

/// Jobs that say they are reading, and restores over several hosts that are not finished.
void add_readers(store::Storage& storage, const std::string& group, model::RetentionInput& input,
                 repo::Unreadable& lost);

} // namespace tidemark::job
