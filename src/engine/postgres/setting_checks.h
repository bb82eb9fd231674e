#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// Will base backups hold the configuration that lies outside the data directory?
Check check_configuration(Connection& sql, const MemberConfig& member);

/// Pure part. `captured`: what base backups find of it.
Check check_configuration(const std::vector<CapturedFile>& captured, const std::string& role);

} // namespace tidemark::engine::postgres
