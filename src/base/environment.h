#pragma once

#include <map>
#include <string>

namespace tidemark::base {

/// What programs need of our environment to work at all (PATH, HOME, TZ, ...): for those that have
/// no business with the rest, where passwords may be.
std::map<std::string, std::string> basic_environment();

} // namespace tidemark::base
