#pragma once

#include "app/cli/environment.h"

#include <filesystem>
#include <optional>

namespace tidemark::app {

/// A run that failed and that the repository could not be told of: this host remembers the last
/// one in `folder` (empty: it can nowhere), or says why not.
void keep_unrecorded(Environment& environment, model::Run run, const std::filesystem::path& folder);
/// `run` is recorded: what it made good is forgotten.
void forget_unrecorded(Environment& environment, const model::Run& run,
                       const std::filesystem::path& folder);
/// What is remembered of the environment's group. Whether something has made it good since is
/// job::not_made_good()'s to say.
std::optional<model::Run> unrecorded_run(Environment& environment,
                                         const std::filesystem::path& folder = state_folder());

} // namespace tidemark::app
