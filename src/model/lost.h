#pragma once

#include "model/mark.h"

#include <span>
#include <string>
#include <vector>

namespace tidemark::model {

/// What is told of a transaction whose prepare at some member was lost in a failover (rules.md 13).
std::string lost_sentence(const TransactionAt& lost);

/// What is told of a transaction that production has committed at one member and rolled back at
/// another (rules.md 8).
std::string damage_sentence(const TransactionAt& damaged);

/// One sentence for each such transaction that `mark` found: it is the first behind both ends.
std::vector<std::string> damage_found_by(const Mark& mark);

/// One sentence for each that `mark` holds, too, because an earlier mark found it. `marks` in any
/// order; later ones than `mark` are passed over, and those that its members' histories have left.
std::vector<std::string> damage_found_before(std::span<const Mark* const> marks, const Mark& mark);

/// One sentence for each that a mark placed at or after `since` found.
std::vector<std::string> damage_found_since(std::span<const Mark* const> marks, base::Time since);

/// One sentence for each transaction that a restore to `mark` finds half there because of a
/// failover: the first mark behind it found that out, and the later ones hold the same half.
/// `marks` in any order; later ones than `mark` are passed over, and those that its members'
/// histories have left.
std::vector<std::string> lost_up_to(std::span<const Mark* const> marks, const Mark& mark);

/// All that a restore to `mark` finds half there because production left it so: lost in a failover
/// or decided differently by hand. One sentence each.
std::vector<std::string> half_there_at(std::span<const Mark* const> marks, const Mark& mark);

} // namespace tidemark::model
