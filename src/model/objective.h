#pragma once

#include "base/clock.h"
#include "model/drill.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// What a group's owner asks of its backups (docs/guide/configuration.md); an absent one is not
/// asked for.
struct Objective {
    std::optional<base::Duration> lose_at_most = {};   ///< age of the newest restorable mark
    std::optional<base::Duration> restore_within = {}; ///< of the newest proof, until all were open
    std::optional<base::Duration> drill_every = {};    ///< age of the newest proof
    bool any() const { return lose_at_most || restore_within || drill_every; }
    friend bool operator==(const Objective&, const Objective&) = default;
};

/// One objective beside the facts.
struct ObjectiveState {
    std::string name = {}; ///< the key: "lose_at_most", ...
    base::Duration limit{};
    std::optional<base::Duration> actual = {}; ///< absent: there is no such mark or proof
    bool met = false;
};

/// The objectives that are asked for, in the order above. `newest` is the time of the newest
/// restorable mark.
std::vector<ObjectiveState> compare_objective(const Objective& objective,
                                              const std::optional<base::Time>& newest,
                                              const std::optional<Proof>& proof, base::Time now);

} // namespace tidemark::model
