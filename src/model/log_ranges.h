#pragma once

#include "model/log_position.h"

#include <vector>

namespace tidemark::model {

// Sets of log ranges. Results ascend by epoch and start, without overlap or contact.

std::vector<LogRange> merge_ranges(std::vector<LogRange> ranges);
/// What of `from` no range of `taken` holds.
std::vector<LogRange> subtract_ranges(std::vector<LogRange> from, std::vector<LogRange> taken);

/// Is there a range in `merged` that overlaps?
bool touches(const std::vector<LogRange>& merged, const LogRange& range);
/// Is there one in `merged` that holds all of it?
bool covered(const std::vector<LogRange>& merged, const LogRange& range);

/// Does `history` pass through some of the range? Not through abandoned branches.
bool on_history(const History& history, const LogRange& range);

} // namespace tidemark::model
