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

/// One sentence for each such transaction inside `mark`, likewise: only the first mark behind both
/// ends finds it, and the later ones hold it, too.
std::vector<std::string> damaged_up_to(std::span<const Mark* const> marks, const Mark& mark);

/// One sentence for each transaction that a restore to `mark` finds half there because of a
/// failover: the first mark behind it found that out, and the later ones hold the same half.
/// `marks` in any order; later ones than `mark` are passed over.
std::vector<std::string> lost_up_to(std::span<const Mark* const> marks, const Mark& mark);

} // namespace tidemark::model
