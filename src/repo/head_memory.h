#pragma once

#include "model/ids.h"

#include <filesystem>
#include <optional>
#include <string>

namespace tidemark::repo {

/// The newest numbers of a group.
struct Heads {
    model::Number mark = 0; ///< 0: none
    model::Number set = 0;
    friend bool operator==(const Heads&, const Heads&) = default;
};

/// Remembers, outside the repository, the newest numbers seen there: rolling a whole repository
/// back cannot be seen from inside (rules.md 35). One small file per repository id.
class HeadMemory {
public:
    /// `folder` is created when something is remembered first.
    explicit HeadMemory(std::filesystem::path folder);

    std::optional<Heads> recall(const std::string& repository_id, const std::string& group) const;
    /// Keeps the higher of what is known and `heads`.
    void remember(const std::string& repository_id, const std::string& group, const Heads& heads);

    /// Which repository was seen at a place: an empty folder there is a disk that is not mounted.
    std::optional<std::string> recall_place(const std::string& url) const;
    void remember_place(const std::string& url, const std::string& repository_id);

private:
    std::filesystem::path path_of(const std::string& repository_id) const;
    std::filesystem::path places_path() const { return folder_ / "places.json"; }

    std::filesystem::path folder_;
};

/// A sentence saying that the repository went back, or nothing.
std::optional<std::string> went_back(const std::optional<Heads>& remembered, const Heads& now);

} // namespace tidemark::repo
