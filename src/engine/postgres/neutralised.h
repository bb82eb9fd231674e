#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres {

/// Adds to `out` what the configuration `text` would have done to the world and does not do in
/// quarantine, where only `libraries` are loaded (rules.md 27). Without secrets.
void note_neutralised(std::string_view text, const std::vector<std::string>& libraries,
                      std::set<std::string>& out);

} // namespace tidemark::engine::postgres
