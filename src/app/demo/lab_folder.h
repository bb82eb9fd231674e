#pragma once

#include "base/subprocess.h"

#include <filesystem>
#include <optional>
#include <string>

namespace tidemark::app {

/// Who runs throwaway servers: absent is ourselves; for root, which PostgreSQL refuses, it is the
/// user "postgres" or else "nobody".
std::optional<base::User> lab_user();

/// A private folder (0700) for throwaway clusters, owned by lab_user(), with a path short enough
/// for Unix sockets below it.
class LabFolder {
public:
    /// Below the system's temporary folder; removed at the end.
    LabFolder();
    /// At `path`, which must be empty or absent; stays.
    explicit LabFolder(std::filesystem::path path);
    LabFolder(LabFolder&& other) noexcept;
    LabFolder(const LabFolder&) = delete;
    LabFolder& operator=(const LabFolder&) = delete;
    LabFolder& operator=(LabFolder&&) = delete;
    ~LabFolder();

    const std::filesystem::path& path() const { return path_; }
    /// Makes a folder below it that lab_user() owns.
    std::filesystem::path make(const std::string& name) const;

private:
    std::filesystem::path path_;
    bool remove_ = true;
};

/// Gives `path` to lab_user(); nothing to do when that is ourselves.
void give_to_lab_user(const std::filesystem::path& path);

} // namespace tidemark::app
