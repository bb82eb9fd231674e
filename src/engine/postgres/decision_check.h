#pragma once

#include "engine/engine.h"

#include <string>

namespace tidemark::engine::postgres {

/// Check "decision_table": the member's server has the column `decision` ("schema.table.column"),
/// asked as a restore asks it. `failed` when no database has it, `waiting` when that is not sure: a
/// database that the role may not connect to is named, as is a server that does not answer.
/// Connects by itself, waits for a few seconds at most, and never throws.
Check check_decision_table(const MemberConfig& member, const std::string& decision);

} // namespace tidemark::engine::postgres
