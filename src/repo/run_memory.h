#pragma once

#include "model/run.h"

#include <filesystem>
#include <optional>
#include <string>

namespace tidemark::repo {

/// The last run of a group that failed and that could not be recorded in the repository, kept on
/// this host until a later one worked. One small file per repository and group, of what
/// docs/repository-format.md says of a run. Errors of all calls: Error{failed} or those of the file
/// system.
class RunMemory {
public:
    /// `folder` is created when something is remembered. `repository` names its place.
    RunMemory(const std::filesystem::path& folder, const std::string& repository,
              const std::string& group);

    std::optional<model::Run> failed() const;
    /// In the place of what was remembered.
    void remember(const model::Run& run) const;
    void forget() const;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace tidemark::repo
