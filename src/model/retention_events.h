#pragma once

#include "model/retention.h"

namespace tidemark::model {

/// Pure. Which reports of runs or drills stay: the `newest` ones, young ones, failed ones for
/// keep_days; the newest proof, and of each mark that stays (`marks`) its newest proof: without
/// them nobody would know any more that it is proven, nor would the next retention.
std::map<Number, Fate> judge_events(const RetentionInput& input,
                                    const std::vector<RetentionEvent>& events, std::size_t newest,
                                    const std::map<Number, Fate>& marks);

} // namespace tidemark::model
