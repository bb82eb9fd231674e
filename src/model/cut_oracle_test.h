#pragma once

#include "model/simulated_group_test.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::model {

// What a cut must be, found by two ways that share nothing with the algorithm.

/// A position for each member, in their order.
using Positions = std::vector<Offset>;

/// The promise of docs/consistency.md, word for word: if a commit is contained, so is every
/// prepare of its transaction.
bool consistent(const SimulatedGroup& group, const Positions& cut);
/// Retreats one record at a time, as slowly and simply as can be.
Positions greatest_by_retreating(const SimulatedGroup& group, Positions cut);
/// Tries all vectors at or below `top`; nullopt when there are too many. The join of all consistent
/// ones is the greatest only if it is consistent itself.
std::optional<Positions> greatest_by_search(const SimulatedGroup& group, const Positions& top);
/// Ids of the transactions that are committed at some branch inside and not prepared at every one,
/// but for what a failover took: no position makes that whole.
std::set<std::string> torn_in(const SimulatedGroup& group, const Positions& at);

} // namespace tidemark::model
