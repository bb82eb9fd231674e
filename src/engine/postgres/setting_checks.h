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

/// Does our log receiver count as a synchronous standby? Its packets say what is durable with us
/// (rules.md 15), which the server takes like a standby's.
Check check_synchronous(Connection& sql);

/// Pure part. `setting`: synchronous_standby_names; `standbys`: names under which others stream.
Check check_synchronous(const std::string& setting, const std::vector<std::string>& standbys);

} // namespace tidemark::engine::postgres
