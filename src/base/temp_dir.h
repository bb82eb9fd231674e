#pragma once

#include <filesystem>
#include <string_view>

namespace tidemark::base {

/// A private folder (mode 0700) that removes itself and everything in it.
class TempDir {
public:
    /// Below `parent`, or below the system's temporary folder when that is empty. The path stays
    /// short enough for Unix sockets as long as the parent's is.
    explicit TempDir(std::string_view prefix = "tidemark",
                     const std::filesystem::path& parent = {});
    TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    TempDir& operator=(TempDir&&) = delete;
    ~TempDir();

    const std::filesystem::path& path() const { return path_; }
    /// The folder stays; returns where it is.
    std::filesystem::path keep();

private:
    std::filesystem::path path_;
};

} // namespace tidemark::base
