#pragma once

#include "base/clock.h"

#include <filesystem>
#include <functional>
#include <string>

namespace tidemark::support {

/// Makes a repository in a folder older, as if all in it had been written `by` earlier: the times
/// that its JSON objects name, the hashes by which these follow each other, and the times of the
/// files, which are the store's. Commit times inside binary objects stay what they are. Objects for
/// which `fresh` says so stay as young as they are. No job may be at work on it, unless it only
/// reads.
void age_repository(const std::filesystem::path& folder, base::Duration by,
                    const std::function<bool(const std::string& key)>& fresh = {});

} // namespace tidemark::support
