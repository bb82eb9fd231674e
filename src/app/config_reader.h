#pragma once

#include "app/config_section.h"
#include "model/group.h"

#include <string>

namespace tidemark::app {

/// Tables of the configuration file as values (docs/guide/configuration.md). Mistakes go to the
/// section's findings.
model::RepositorySpec read_repository(const std::string& name, const Section& entry);
model::GroupSpec read_group(const std::string& name, const Section& entry);

} // namespace tidemark::app
