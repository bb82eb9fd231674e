#pragma once

#include "model/group.h"

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::app {

/// Members from init's arguments: "NAME=URL", or a URL whose host (its first label) names the
/// member. Names are made valid and unique ("db", "db-2"). Error{usage} for what is no connection
/// string.
std::vector<model::MemberSpec> members_of_urls(const std::vector<std::string>& urls);

/// The hosts that a url names, as written, without ports; empty for a socket, this machine (unless
/// by its name), or none.
std::string host_of_url(std::string_view url);

} // namespace tidemark::app
