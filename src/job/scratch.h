#pragma once

#include "base/fd.h"
#include "base/subprocess.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace tidemark::job {

/// A folder of a drill's own, "tidemark-drill-XXXXXX". While the drill lives it holds a lock in it;
/// a folder whose lock is free was left by a drill that was killed.
class Scratch {
public:
    /// Makes it in `parent`; the servers' user may enter it, no more. Error{member_not_ready} when
    /// that user cannot enter `parent`.
    Scratch(const std::filesystem::path& parent, const std::optional<base::User>& owner);
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    /// Removes what is left, quietly.
    ~Scratch();

    const std::filesystem::path& path() const { return path_; }
    /// Removes the folder and everything in it; an Error names what could not be removed.
    void remove();
    /// The folder stays, and is nobody's from now on.
    void keep();

private:
    explicit Scratch(std::filesystem::path made) : path_(std::move(made)) {}

    std::filesystem::path path_;
    base::Fd lock_;
};

/// Removes what killed drills left in `parent`. `stop_servers` is called for each such folder
/// first. Returns the folders that were removed.
std::vector<std::filesystem::path>
remove_abandoned(const std::filesystem::path& parent,
                 const std::function<void(const std::filesystem::path&)>& stop_servers);

/// Error{out_of_space} unless `needed` bytes are free in `parent`; `what_for` says how they add up.
void require_space(const std::filesystem::path& parent, std::uint64_t needed,
                   const std::string& what_for);
/// On a full disk all kinds of things go wrong, in all kinds of words: Error{out_of_space} with
/// those in `what`, when that of `folder` has come to be full.
void require_room_left(const std::filesystem::path& folder, const std::string& what);

} // namespace tidemark::job
