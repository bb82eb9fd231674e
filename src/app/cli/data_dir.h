#pragma once

#include "model/identity.h"

#include <filesystem>
#include <optional>

namespace tidemark::app {

/// The server's data directory, when this process can read it and it really is that cluster's:
/// pg_control begins with the system identifier (src/include/catalog/pg_control.h).
std::optional<std::filesystem::path> readable_data_dir(const model::Identity& identity);

} // namespace tidemark::app
