#pragma once

#include "engine/restore_target.h"
#include "model/decision_table.h"

#include <set>
#include <stop_token>
#include <string>

namespace tidemark::job {

/// Which of `ids` the column of a restored, running member holds, in whichever of its databases the
/// table is. Reads only. Error{not_restorable} when there is no such table, or when it cannot be
/// read.
std::set<std::string> read_decisions(engine::RestoreTarget& target, const model::TableColumn& where,
                                     const std::set<std::string>& ids, std::stop_token stop);

} // namespace tidemark::job
