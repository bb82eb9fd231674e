#pragma once

#include "base/clock.h"
#include "engine/engine.h"

#include <optional>
#include <vector>

namespace tidemark::app {

/// The check `clocks`, from how far each member's clock stands from ours (absent: not measured).
/// Pure.
std::optional<engine::Check>
compare_clocks(const std::vector<std::optional<base::Duration>>& clocks);

} // namespace tidemark::app
