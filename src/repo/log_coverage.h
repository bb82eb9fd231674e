#pragma once

#include "model/ids.h"
#include "model/log_position.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tidemark::repo {

/// A stored piece, as its name and the store's listing tell.
struct LogPiece {
    model::LogRange range;
    model::Number lease = 0;
    std::uint64_t size = 0; ///< stored bytes
    bool indexed = false;
    std::string key;
    friend bool operator==(const LogPiece&, const LogPiece&) = default;
};

/// A gap-free stretch of stored log along one history.
struct LogChain {
    model::LogPosition start;
    model::LogPosition end;
    friend bool operator==(const LogChain&, const LogChain&) = default;
};

// Pure rules over pieces. Pieces may overlap, they hold equal bytes there (rules.md 32). Order does
// not matter.

/// [from, to) cut at the switch points of the history: one range per epoch, oldest first.
/// Error{identity_mismatch} when a position lies outside it.
std::vector<model::LogRange> epoch_ranges(const model::History& history,
                                          const model::LogPosition& from,
                                          const model::LogPosition& to);
/// What of `wanted` no piece holds; ascending.
std::vector<model::LogRange> missing_ranges(std::span<const LogPiece> pieces,
                                            const model::LogRange& wanted);
/// The fewest pieces that cover `wanted`, in order; empty when they cannot.
std::optional<std::vector<LogPiece>> choose_cover(std::span<const LogPiece> pieces,
                                                  const model::LogRange& wanted);
/// Maximal gap-free stretches along `history`, oldest first. Log of an epoch past the point where
/// the history left it is an abandoned branch and not counted (rules.md 13).
std::vector<LogChain> find_chains(std::span<const LogPiece> pieces, const model::History& history);

} // namespace tidemark::repo
