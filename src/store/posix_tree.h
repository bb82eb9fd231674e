#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "store/posix.h"

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <sys/stat.h>

namespace tidemark::store {

/// Holds '~', which no key can contain.
inline constexpr const char* kTemporaryFolder = ".tmp~";

/// The folder that holds a key's file, and the file's name in it.
struct Place {
    base::Fd folder;
    std::string name;
};

/// The folders below a repository's root, walked name by name with O_NOFOLLOW: together with the
/// rules for keys that makes it impossible to leave the root. Safe for several threads.
class PosixTree {
public:
    PosixTree(const std::filesystem::path& root, const DirectoryOptions& options);

    const std::filesystem::path& root() const { return root_; }
    int root_fd() const { return root_fd_.get(); }
    const DirectoryOptions& options() const { return options_; }
    bool reads_back() const { return reads_back_; }

    /// Empty when a folder on the way is missing; the name itself may or may not exist.
    std::optional<Place> find(std::string_view key) const;
    /// Creates missing folders; every folder on the way is durable when it returns.
    Place make(std::string_view key);
    /// What stands at a name: empty when nothing does, an Error for what is neither file nor
    /// folder.
    std::optional<struct stat> look(const Place& place, std::string_view key) const;
    /// Opens a folder inside `parent`; an invalid Fd when there is none.
    base::Fd enter(int parent, const std::string& name, std::string_view key) const;
    base::Fd temporary_folder() const;
    /// As root: gives a new file or folder the owner of the root.
    void adopt(int fd, std::string_view key) const;

    /// Throws when the root that was opened is no longer at its path: before any answer of
    /// "absent", because an unmounted repository must never look like an empty one.
    void require_root() const;
    /// The Error for a failed call, with the next step for the person who runs the program.
    base::Error error(std::string_view doing, std::string_view key, int errno_value) const;

private:
    base::Fd make_folder(int parent, const std::string& name, std::string_view path);

    std::filesystem::path root_;
    DirectoryOptions options_;
    base::Fd root_fd_;
    struct stat root_info_ = {};
    bool reads_back_ = false;
    std::mutex mutex_;
    /// Folders whose entry in their parent this process has synced. Folders are never removed, so
    /// what is durable stays durable.
    std::set<std::string, std::less<>> durable_;
};

} // namespace tidemark::store
