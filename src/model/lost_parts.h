#pragma once

#include "model/known.h"

#include <cstdint>
#include <span>
#include <vector>

namespace tidemark::model {

/// A use of an id that some member committed, and what of it stood on a tail of the log that a
/// failover abandoned: instances in their order.
struct HalfLost {
    std::vector<std::uint32_t> parts;
    bool ambiguous = false; ///< the parts may belong to several uses of the id
};

/// Those at a vector `at`, in the order of the logs (rules.md 13).
std::vector<HalfLost> find_half_lost(const Known& known, std::span<const Offset> at);

/// Neither clocks nor sweeps nor their log tell the uses of a lost instance and of `part` apart. A
/// lost one that did not end on its tail lives on: its partners may be prepared and committed at
/// any time.
bool may_be_partner(const Known& known, std::uint32_t lost, std::uint32_t part);

} // namespace tidemark::model
