#pragma once

#include "engine/engine.h"

#include <chrono>
#include <string>

namespace tidemark::engine::postgres {

/// Check "decision_table": the member's server has the column `decision` ("schema.table.column"),
/// asked as a restore asks it. `failed` when no database has it, `waiting` when that is not sure: a
/// database that the role may not connect to is named, as is a server that does not answer.
/// Connects by itself to one database after the other, for `patience` altogether, and never throws.
Check check_decision_table(const MemberConfig& member, const std::string& decision,
                           std::chrono::milliseconds patience);

} // namespace tidemark::engine::postgres
