#pragma once

#include "engine/restore_target.h"

#include <memory>

namespace tidemark::engine::postgres {

/// A PostgreSQL cluster that is being restored. Nothing is touched before prepare().
std::unique_ptr<RestoreTarget> open_postgres_target(const TargetConfig& config);

} // namespace tidemark::engine::postgres
