#pragma once

#include "base/clock.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

/// What the log guard did and no run in the repository tells yet.
struct GuardDeed {
    base::Time at;
    std::string text; ///< one sentence
    friend bool operator==(const GuardDeed&, const GuardDeed&) = default;
};

/// What the log guard must know when the repository is away, kept on this host: whose clusters the
/// members are, and what it did that could not be recorded. One small file per repository and
/// group. Errors of all calls: Error{failed} for a file that is damaged or cannot be written.
class GuardMemory {
public:
    /// `folder` is created when something is remembered first. `repository` is the repository's
    /// url: its id cannot be asked for.
    GuardMemory(const std::filesystem::path& folder, const std::string& repository,
                std::string group);

    /// System identifiers by member as of the last success; empty where there was none yet.
    std::optional<std::map<std::string, std::string>> clusters() const;
    void remember(const std::map<std::string, std::string>& clusters);

    /// Oldest first.
    std::vector<GuardDeed> deeds() const;
    /// The oldest go when they are many.
    void add(const GuardDeed& deed);
    /// They are recorded in the repository now.
    void forget(const std::vector<GuardDeed>& recorded);

    const std::filesystem::path& path() const { return path_; }

private:
    struct Content {
        std::optional<std::map<std::string, std::string>> clusters;
        std::vector<GuardDeed> deeds;
    };
    Content read() const;
    Content read_or_begin() const;
    void write(const Content& content) const;

    std::string group_;
    std::filesystem::path path_;
};

} // namespace tidemark::repo
