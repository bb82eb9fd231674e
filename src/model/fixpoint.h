#pragma once

#include "model/known.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tidemark::model {

/// Where one member's search begins.
struct FixpointStart {
    Offset at = 0;
    bool fixed = false;                     ///< it may not retreat
    const UnknownFinish* unknown = nullptr; ///< why `at` lies before r
};

struct Fixpoint {
    struct Cause {
        std::uint32_t commit = 0;  ///< instance whose commit stays outside
        std::uint32_t prepare = 0; ///< instance whose prepare lies outside
    };
    std::vector<Offset> cuts;
    std::vector<std::optional<Cause>> causes; ///< of the last retreat of each member
    std::vector<std::optional<Cause>>
        refused; ///< what a fixed member would have had to retreat for
    std::uint32_t rounds = 0;
};

/// The greatest vector at or below `starts` such that no commit inside has a prepare of its group
/// outside. Every prepare is looked at once, every group at most once for each sweep.
Fixpoint find_fixpoint(const Known& known, const Partition& partition,
                       std::span<const FixpointStart> starts);

} // namespace tidemark::model
