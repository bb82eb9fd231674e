#include "job/target_tree.h"

#include "base/error.h"
#include "base/open_beneath.h"
#include "base/real_folder.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using base::Fd;

TargetTree::TargetTree(std::filesystem::path root, std::optional<Owner> owner)
    : root_(std::move(root)), owner_(owner), root_fd_(base::open_real_folder(root_))
{
}

Fd TargetTree::resolve(const std::string& path, int flags, mode_t mode) const
{
    int fd = base::open_beneath(root_fd_.get(), path.c_str(), flags, mode);
    if (fd < 0) refuse(path, errno);
    return Fd(fd);
}

void TargetTree::refuse(const std::string& path, int error) const
{
    if (error == EXDEV || error == ELOOP) {
        throw Error{Code::not_restorable,
                    "'" + path + "' would lead out of " + root_.string() + ", so it is refused",
                    {.hint = "remove the link from the target, or restore into an empty folder"}};
    }
    throw base::system_error("cannot open " + (root_ / path).string(), error);
}

void TargetTree::adopt(int fd, const std::string& path) const
{
    if (owner_ && ::fchown(fd, owner_->uid, owner_->gid) != 0) {
        throw base::system_error("cannot give " + (root_ / path).string() + " to the server's user",
                                 errno);
    }
}

TargetTree::Entry TargetTree::entry(const std::string& path) const
{
    auto slash = path.rfind('/');
    if (slash == std::string::npos) return {Fd(::fcntl(root_fd_.get(), F_DUPFD_CLOEXEC, 0)), path};
    return {resolve(path.substr(0, slash), O_RDONLY | O_DIRECTORY, 0), path.substr(slash + 1)};
}

void TargetTree::make_folder(const std::string& path, mode_t mode) const
{
    auto at = entry(path);
    if (::mkdirat(at.folder.get(), at.name.c_str(), mode) != 0 && errno != EEXIST) {
        throw base::system_error("cannot create " + (root_ / path).string(), errno);
    }
    auto made = resolve(path, O_RDONLY | O_DIRECTORY, 0);
    if (::fchmod(made.get(), mode & 0777) != 0)
        throw base::system_error("cannot set the mode of " + path, errno);
    adopt(made.get(), path);
}

void TargetTree::make_file(const std::string& path, mode_t mode, std::uint64_t size) const
{
    // Never into what is there already: it may be a second name of somebody's file.
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL;
    int made = base::open_beneath(root_fd_.get(), path.c_str(), kFlags, mode & 0777);
    if (made < 0 && errno == EEXIST) {
        auto at = entry(path);
        struct stat info = {};
        ::fstatat(at.folder.get(), at.name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
        if (S_ISLNK(info.st_mode)) refuse(path, ELOOP);
        remove(path);
        made = base::open_beneath(root_fd_.get(), path.c_str(), kFlags, mode & 0777);
    }
    if (made < 0) refuse(path, errno);
    Fd fd(made);
    if (::fchmod(fd.get(), mode & 0777) != 0)
        throw base::system_error("cannot set the mode of " + path, errno);
    adopt(fd.get(), path);
    if (size > 0 && ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
        throw base::system_error("cannot size " + (root_ / path).string(), errno);
    }
}

void TargetTree::allocate(const std::string& path, std::uint64_t size) const
{
    auto fd = resolve(path, O_WRONLY, 0);
    [[maybe_unused]] int done =
        ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size));
}

Fd TargetTree::open(const std::string& path) const
{
    return resolve(path, O_WRONLY, 0);
}

Fd TargetTree::open_direct(const std::string& path) const
{
    int fd = base::open_beneath(root_fd_.get(), path.c_str(), O_WRONLY | O_DIRECT, 0);
    if (fd < 0 && errno != EINVAL && errno != EOPNOTSUPP) refuse(path, errno);
    return Fd(fd);
}

void TargetTree::remove(const std::string& path) const
{
    auto at = entry(path);
    if (::unlinkat(at.folder.get(), at.name.c_str(), 0) != 0 && errno != ENOENT)
        throw base::system_error("cannot remove " + (root_ / path).string(), errno);
}

void TargetTree::rename(const std::string& path, const std::string& name) const
{
    auto at = entry(path);
    if (::renameat(at.folder.get(), at.name.c_str(), at.folder.get(), name.c_str()) != 0)
        throw base::system_error("cannot rename " + (root_ / path).string(), errno);
}

void TargetTree::make_link(const std::string& path, const std::filesystem::path& to) const
{
    remove(path);
    auto at = entry(path);
    if (::symlinkat(to.c_str(), at.folder.get(), at.name.c_str()) != 0) {
        throw base::system_error("cannot link " + (root_ / path).string(), errno);
    }
}

void TargetTree::sync() const
{
    if (::syncfs(root_fd_.get()) != 0)
        throw base::system_error("cannot make " + root_.string() + " durable", errno);
}

} // namespace tidemark::job
