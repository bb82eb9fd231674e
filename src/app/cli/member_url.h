#pragma once

#include "model/group.h"

#include <string>
#include <vector>

namespace tidemark::app {

/// Members from init's arguments: "NAME=URL", or a URL whose host (its first label) names the
/// member. Names are made valid and unique ("db", "db-2"). Error{usage} for what is no connection
/// string.
std::vector<model::MemberSpec> members_of_urls(const std::vector<std::string>& urls);

} // namespace tidemark::app
