#pragma once

#include "base/clock.h"

#include <vector>

namespace tidemark::model {

/// How old the newest restorable mark of a group may be for which no objective says it: three times
/// the distance at which its jobs begin, and at least an hour; a day while they are too few to
/// tell. `starts`: of its latest jobs, in any order. A burst of jobs by hand, or one long pause,
/// changes nothing as long as they are the smaller part.
base::Duration usual_patience(std::vector<base::Time> starts);

} // namespace tidemark::model
