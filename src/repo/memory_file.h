#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace tidemark::repo {

/// The file in which this host remembers something (`what`) of a group while the repository is
/// away: by the place of the repository, whose id cannot be asked for then.
std::filesystem::path memory_file(const std::filesystem::path& folder, std::string_view what,
                                  const std::string& repository, const std::string& group);

} // namespace tidemark::repo
