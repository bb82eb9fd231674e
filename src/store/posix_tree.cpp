#include "store/posix_tree.h"

#include "store/read_back.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <system_error>
#include <unistd.h>

namespace tidemark::store {

using base::Code;
using base::Error;
using base::Fd;

namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// mkdir -p whose result survives a crash.
void create_root(const std::filesystem::path& path, mode_t mode)
{
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return;
    create_root(path.parent_path(), mode);
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
        throw base::system_error("cannot create " + path.native(), errno,
                                 Code::repository_unreachable);
    }
    base::fsync_directory(path.parent_path());
}

std::string hint_for(int code, const std::string& root)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return fmt::format(
            "free some space at {} and run the same command again; nothing half-written "
            "is visible",
            root);
    case EROFS:
        return fmt::format(
            "mount {} for writing; a file system that became read-only by itself had an "
            "I/O error: see the kernel's log",
            root);
    case EACCES:
    case EPERM:
        return fmt::format(
            "run as the owner of {}, or give this user the right to read and write there", root);
    case EIO:
        return fmt::format("the disk below {} reports an error: see the kernel's log", root);
    case EXDEV:
        return "the whole repository must be on one file system";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n)";
    default:
        return fmt::format("check that {} is there and mounted", root);
    }
}

} // namespace

PosixTree::PosixTree(const std::filesystem::path& root, const DirectoryOptions& options)
    : root_(std::filesystem::absolute(root).lexically_normal()), options_(options)
{
    if (!root_.has_filename() && root_.has_relative_path()) root_ = root_.parent_path();
    if (options_.create) create_root(root_, options_.folder_mode);
    // The root itself may be a link: it is the operator's choice.
    root_fd_ = Fd{::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!root_fd_ || ::fstat(root_fd_.get(), &root_info_) != 0) throw error("open", "", errno);
    reads_back_ = options_.read_back == ReadBack::always || needs_read_back(root_fd_.get());
}

Error PosixTree::error(std::string_view doing, std::string_view key, int errno_value) const
{
    std::string where = key.empty() ? root_.native() : fmt::format("{}/{}", root_.native(), key);
    bool full = errno_value == ENOSPC || errno_value == EDQUOT;
    bool transient = errno_value == EINTR || errno_value == EAGAIN || errno_value == ETIMEDOUT;
    return Error{full ? Code::out_of_space : Code::repository_unreachable,
                 fmt::format("cannot {} {}: {}", doing, where, std::strerror(errno_value)),
                 {.hint = hint_for(errno_value, root_.native()), .transient = transient}};
}

void PosixTree::require_root() const
{
    struct stat now = {};
    if (::stat(root_.c_str(), &now) != 0) throw error("find", "", errno);
    if (now.st_dev == root_info_.st_dev && now.st_ino == root_info_.st_ino) return;
    throw Error{Code::repository_unreachable,
                fmt::format("{} is not the directory any more that was opened as the repository",
                            root_.native()),
                {.hint = "check that the right disk or share is mounted there, then start again"}};
}

Fd PosixTree::enter(int parent, const std::string& name, std::string_view key) const
{
    Fd fd{::openat(parent, name.c_str(), kFolderFlags)};
    if (fd) return fd;
    int code = errno;
    if (code == ENOENT) {
        require_root();
        return {};
    }
    if (code == ENOTDIR || code == ELOOP) {
        struct stat info = {};
        if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode)) {
            return {};
        }
        throw Error{Code::repository_unreachable,
                    fmt::format("{} in {} is a symbolic link or a special file on the way to {}; "
                                "it is not followed",
                                name, root_.native(), key),
                    {.hint = "put the real folder in its place"}};
    }
    throw error("open", key, code);
}

std::optional<Place> PosixTree::find(std::string_view key) const
{
    Fd folder;
    std::string_view rest = key;
    for (auto slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
        int parent = folder ? folder.get() : root_fd_.get();
        folder = enter(parent, std::string(rest.substr(0, slash)), key);
        if (!folder) return std::nullopt;
        rest.remove_prefix(slash + 1);
    }
    if (!folder) folder = Fd{::fcntl(root_fd_.get(), F_DUPFD_CLOEXEC, 0)};
    if (!folder) throw error("open", key, errno);
    return Place{std::move(folder), std::string(rest)};
}

Fd PosixTree::make_folder(int parent, const std::string& name, std::string_view path)
{
    Fd fd = enter(parent, name, path);
    bool fresh = !fd;
    if (fresh) {
        if (::mkdirat(parent, name.c_str(), options_.folder_mode) != 0 && errno != EEXIST) {
            throw error("create the folder", path, errno);
        }
        fd = enter(parent, name, path);
        if (!fd) {
            throw Error{Code::usage,
                        fmt::format("{} cannot be an object and a folder at once", path)};
        }
        adopt(fd.get(), path);
    }
    {
        std::lock_guard lock{mutex_};
        if (!fresh && durable_.contains(path)) return fd;
    }
    // Another process may have made the folder and not have synced it yet: once for each folder we
    // do it ourselves, whoever made it.
    if (::fsync(parent) != 0) throw error("make durable", path, errno);
    std::lock_guard lock{mutex_};
    durable_.emplace(path);
    return fd;
}

Place PosixTree::make(std::string_view key)
{
    require_root();
    Fd folder{::fcntl(root_fd_.get(), F_DUPFD_CLOEXEC, 0)};
    if (!folder) throw error("open", key, errno);
    std::size_t start = 0;
    for (auto slash = key.find('/'); slash != std::string_view::npos;
         slash = key.find('/', start)) {
        std::string name{key.substr(start, slash - start)};
        folder = make_folder(folder.get(), name, key.substr(0, slash));
        start = slash + 1;
    }
    return {std::move(folder), std::string(key.substr(start))};
}

std::optional<struct stat> PosixTree::look(const Place& place, std::string_view key) const
{
    struct stat info = {};
    if (::fstatat(place.folder.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) throw error("examine", key, errno);
        require_root();
        return std::nullopt;
    }
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return info;
    throw Error{
        Code::repository_unreachable,
        fmt::format("{}/{} is a symbolic link or a special file, not an object of a repository",
                    root_.native(), key),
        {.hint = "remove it, or put the real file in its place"}};
}

Fd PosixTree::temporary_folder() const
{
    require_root();
    Fd fd = enter(root_fd_.get(), kTemporaryFolder, kTemporaryFolder);
    if (fd) return fd;
    if (::mkdirat(root_fd_.get(), kTemporaryFolder, options_.folder_mode) != 0 && errno != EEXIST) {
        throw error("create the folder", kTemporaryFolder, errno);
    }
    fd = enter(root_fd_.get(), kTemporaryFolder, kTemporaryFolder);
    if (!fd) throw error("open", kTemporaryFolder, ENOENT);
    adopt(fd.get(), kTemporaryFolder);
    return fd;
}

void PosixTree::adopt(int fd, std::string_view key) const
{
    if (::geteuid() != 0 || root_info_.st_uid == 0) return;
    if (::fchown(fd, root_info_.st_uid, root_info_.st_gid) != 0)
        throw error("set the owner of", key, errno);
}

} // namespace tidemark::store
