#pragma once

#include "base/clock.h"
#include "model/ids.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// A mark that stays, with everything a restore to it needs, until it is released.
struct Hold {
    Number mark = 0;
    std::string note;
    std::string by; ///< host
    base::Time since;
    std::optional<base::Time> until; ///< absent: until released
    bool in_force(base::Time now) const { return !until || now < *until; }
    friend bool operator==(const Hold&, const Hold&) = default;
};

/// A generation of a group's holds: all that are in force. The highest one counts.
struct Holds {
    std::string group;
    std::vector<Hold> holds; ///< by mark, each once
    friend bool operator==(const Holds&, const Holds&) = default;
};

} // namespace tidemark::model
