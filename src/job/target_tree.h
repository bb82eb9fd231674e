#pragma once

#include "base/fd.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

namespace tidemark::job {

struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
};

/// A folder that a restore writes into. Every name is resolved beneath it
/// (base::open_beneath), so neither ".." nor a link planted in the target
/// or in a backup leads out (rules.md 29). Safe for several threads.
class TargetTree {
public:
    /// Opens `root`, which must exist and be reached without a link (base::open_real_folder). New
    /// files and folders get `owner` when set.
    TargetTree(std::filesystem::path root, std::optional<Owner> owner);

    const std::filesystem::path& root() const { return root_; }
    /// Makes a folder whose parent exists; one that is there already is fine.
    void make_folder(const std::string& path, mode_t mode) const;
    /// Creates a file of `size` bytes, all zeros, in the place of one that was there.
    void make_file(const std::string& path, mode_t mode, std::uint64_t size) const;
    /// Asks the file system for all blocks of a file made before, which stays all zeros: writes
    /// past the page cache into holes exclude each other on one file, into such blocks they do not.
    /// Only a help, so a file system that cannot or has no room is no error here.
    void allocate(const std::string& path, std::uint64_t size) const;
    /// Opens a file made before, for writing.
    base::Fd open(const std::string& path) const;
    /// The same past the page cache; invalid where the file system cannot do that.
    base::Fd open_direct(const std::string& path) const;
    /// A file or link that may be there.
    void remove(const std::string& path) const;
    /// Gives a file another name in its folder, replacing what has that name.
    void rename(const std::string& path, const std::string& name) const;
    /// A symbolic link to an absolute path chosen by us, never by the backup.
    void make_link(const std::string& path, const std::filesystem::path& to) const;
    /// Makes everything on the file system durable, data and names. A write that failed since this
    /// tree was made is an error, whoever wrote it (syncfs(2), from Linux 5.8 on).
    void sync() const;

private:
    struct Entry {
        base::Fd folder;
        std::string name;
    };
    Entry entry(const std::string& path) const;
    base::Fd resolve(const std::string& path, int flags, mode_t mode) const;
    [[noreturn]] void refuse(const std::string& path, int error) const;
    void adopt(int fd, const std::string& path) const;

    std::filesystem::path root_;
    std::optional<Owner> owner_;
    base::Fd root_fd_;
};

} // namespace tidemark::job
