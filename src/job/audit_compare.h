#pragma once

#include "model/cut.h"
#include "model/mark.h"

#include <string>
#include <vector>

namespace tidemark::job {

struct AuditScope {
    /// The log is stored as far back as it was when the mark was placed, and all of it was and is
    /// readable: then branches and flags have to be the same, too.
    bool whole = false;
};

/// What a mark says and its recomputation does not, or the other way round; a line each. What a
/// failover abandoned is passed over: its log goes while the mark stays.
std::vector<std::string> compare_proof(const model::Mark& stored, const model::CutResult& now,
                                       AuditScope scope);

} // namespace tidemark::job
