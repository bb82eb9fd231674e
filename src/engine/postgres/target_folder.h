#pragma once

#include "base/real_folder.h"
#include "base/subprocess.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::engine::postgres {

/// A folder of files for a server that is being restored. Changes are durable when the call
/// returns. The server's user may be hostile and write in the folder or above it: each call opens
/// the folder anew, by a path without links, and works from there (rules.md 29).
class TargetFolder {
public:
    enum class Of {
        server, ///< the server's user owns it and its files: a data directory, a socket's folder
        us,     ///< ours; the server's user may enter it and read the files
    };
    /// `user` runs the server; absent: we do.
    TargetFolder(std::filesystem::path path, std::optional<base::User> user, Of of = Of::server);

    const std::filesystem::path& path() const { return path_; }
    /// Makes the folder (0700, or 0711 for ours) if it is not there and gives it to its owner.
    void create() const;
    /// Is it a folder that the server's user owns and nobody else can write?
    /// Error{member_not_ready} with the command that helps.
    void require_usable() const;

    bool exists(const std::string& name) const;
    /// Is it a regular file, no link to one?
    bool is_file(const std::string& name) const;
    /// Absent when there is no such file; more than 16 MiB is an Error.
    std::optional<std::string> read(const std::string& name) const;
    void write(const std::string& name, std::string_view text) const;
    void remove(const std::string& name) const;
    /// A folder in it (0700), if it is not there.
    void make_folder(const std::string& name) const;
    /// Renames what `name` is, a link too, in place of what lies there; both are in one folder.
    void rename(const std::string& name, const std::string& to) const;
    /// Renames `name` to `name`.from-backup, in place of what was set aside before it and of that
    /// one's *.original; nothing happens when it is not there.
    void set_aside(const std::string& name) const;
    /// Removes everything in the folder `name`, but not the folder.
    void empty(const std::string& name) const;
    /// Removes the links in the folder `name`.
    void remove_links(const std::string& name) const;

private:
    bool gives_away() const { return user_ && of_ == Of::server; }
    /// Error{target_not_empty} when it belongs to another account than it shall.
    base::Fd open() const;
    [[noreturn]] void fail(const char* what, const std::string& name, int error) const;

    std::filesystem::path path_;
    std::optional<base::User> user_;
    Of of_;
};

} // namespace tidemark::engine::postgres
