#pragma once

#include "base/subprocess.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>

namespace tidemark::engine::postgres {

/// Takes tablespaces that replay made in pg_tblspc itself to their places, by oid, and leaves the
/// links that a server expects there; nothing where the log dropped one again. The server is
/// stopped; may be repeated after a crash. `user` owns the data directory; absent: we do.
/// Error{target_not_empty} where something lies in such a place.
void move_tablespaces_out(const std::filesystem::path& data_dir,
                          const std::map<std::uint32_t, std::filesystem::path>& places,
                          const std::optional<base::User>& user);

} // namespace tidemark::engine::postgres
