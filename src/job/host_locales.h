#pragma once

#include <map>
#include <string>
#include <vector>

namespace tidemark::job {

/// What this host makes of the locales that a backup's databases used ("c:name" -> version, see
/// model::BackupFacts): those of the C library that are missing or of another version. ICU's are
/// compared when the server runs.
std::vector<std::string> foreseen_collations(const std::map<std::string, std::string>& at_backup);

} // namespace tidemark::job
