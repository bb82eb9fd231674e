#pragma once

#include "base/random.h"
#include "base/subprocess.h"
#include "cli/tool.h"
#include "soak_group.h"

#include <functional>
#include <string>
#include <vector>

namespace tidemark::support {

/// Something that goes wrong around one run of the program, and is over when its steps are: the
/// next run has to be a good one.
struct Trouble {
    std::string name;
    Tool::Arguments command = {"run"};
    std::function<void()> before = [] {}; ///< the command
    std::function<void(base::Process&)> during = [](base::Process&) {};
    std::function<void()> after = [] {}; ///< it ended
    bool breaks_the_chain = false;       ///< the next run takes a full backup
    bool kills_the_program = false;
};

/// Every kind, once. `random` chooses whom and when; both outlive what is returned.
std::vector<Trouble> troubles(SoakGroup& group, base::Random& random);

} // namespace tidemark::support
