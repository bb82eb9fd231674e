#include "model/objective.h"

namespace tidemark::model {

namespace {

/// Clocks of two hosts differ by less. What lies further ahead comes from a clock that was wrong,
/// and tells nothing of how old it is.
constexpr base::Duration kClockSlack = std::chrono::minutes{5};

} // namespace

std::vector<ObjectiveState> compare_objective(const Objective& objective,
                                              const std::optional<base::Time>& newest,
                                              const std::optional<Proof>& proof, base::Time now)
{
    std::vector<ObjectiveState> states;
    auto add = [&](const char* name, const std::optional<base::Duration>& limit,
                   const std::optional<base::Duration>& actual) {
        if (!limit) return;
        states.push_back(
            {.name = name,
             .limit = *limit,
             .actual = actual,
             .met = actual.has_value() && *actual <= *limit && *actual >= -kClockSlack});
    };
    auto age = [&](const base::Time& then) {
        return std::chrono::duration_cast<base::Duration>(now - then);
    };
    std::optional<base::Duration> loss, took, since;
    if (newest) loss = age(*newest);
    if (proof) {
        took = proof->restore_took;
        since = age(proof->at);
    }
    add("lose_at_most", objective.lose_at_most, loss);
    add("restore_within", objective.restore_within, took);
    add("drill_every", objective.drill_every, since);
    return states;
}

} // namespace tidemark::model
