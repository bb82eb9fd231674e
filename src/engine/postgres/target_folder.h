#pragma once

#include "base/subprocess.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::engine::postgres {

/// A folder of files that the server's user owns: a data directory that is being restored, or our
/// own work folder. Changes are durable when the call returns. Never follows a link.
class TargetFolder {
public:
    TargetFolder(std::filesystem::path path, std::optional<base::User> owner);

    const std::filesystem::path& path() const { return path_; }
    /// Makes the folder (0700) if it is not there and gives it to the owner.
    void create() const;
    /// Is it a folder that the server's user owns and nobody else can write?
    /// Error{member_not_ready} with the command that helps.
    void require_usable() const;

    bool exists(const std::string& name) const;
    /// Absent when there is no such file; more than 16 MiB is an Error.
    std::optional<std::string> read(const std::string& name) const;
    void write(const std::string& name, std::string_view text) const;
    void remove(const std::string& name) const;
    /// A folder in it (0700), if it is not there.
    void make_folder(const std::string& name) const;
    /// Renames `name` to `name`.from-backup; nothing happens when it is not there.
    void set_aside(const std::string& name) const;
    /// Removes everything in the folder `name`, but not the folder.
    void empty(const std::string& name) const;
    /// Removes the links in the folder `name`.
    void remove_links(const std::string& name) const;

private:
    void sync() const;

    std::filesystem::path path_;
    std::optional<base::User> owner_;
};

} // namespace tidemark::engine::postgres
