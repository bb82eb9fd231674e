#pragma once

#include "model/cut.h"
#include "model/mark.h"

#include <map>
#include <string>
#include <vector>

namespace tidemark::job {

struct AuditScope {
    /// The log is stored as far back as it was when the mark was placed, and all of it was and is
    /// readable: then branches and flags have to be the same, too.
    bool whole = false;
    /// By member, where the log that is stored without a gap begins. Unless `whole`, what the mark
    /// knew of transactions prepared before it is passed over.
    std::map<std::string, model::Offset> complete_since = {};
};

/// What a mark says and its recomputation does not, or the other way round; a line each. What a
/// failover abandoned is passed over, with all uses of its id: its log goes while the mark stays.
std::vector<std::string> compare_proof(const model::Mark& stored, const model::CutResult& now,
                                       const AuditScope& scope);

} // namespace tidemark::job
