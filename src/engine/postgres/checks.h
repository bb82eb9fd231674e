#pragma once

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// Everything that Session::check() answers: one entry per named check, in the order in which an
/// operator should mend them. `failed` keeps backups from working or makes them lose log,
/// `waiting` deserves a look.
std::vector<Check> run_checks(Connection& sql, const MemberConfig& member);

/// What to do about a setting that only a restart changes.
std::string set_and_restart(const std::string& setting, const std::string& value);

/// Pure parts, for tests.
Check check_clock(base::Duration offset, base::Duration round_trip);
Check check_standby(const Standby& standby);
Check check_orphans(const std::vector<PreparedBranch>& prepared, base::Time now);

} // namespace tidemark::engine::postgres
