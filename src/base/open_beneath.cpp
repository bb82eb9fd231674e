#include "base/open_beneath.h"

#include "base/fd.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace tidemark::base {

namespace {

bool is_link(int folder, const std::string& name)
{
    struct stat status{};
    return ::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(status.st_mode);
}

/// openat(2) of one name that is no link.
int open_part(int folder, const std::string& name, int flags, mode_t mode)
{
    int fd = -1;
    do
        fd = ::openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

} // namespace

int open_part_by_part(int folder, const char* path, int flags, mode_t mode)
{
    std::string_view rest = path;
    if (rest.empty()) return errno = ENOENT, -1;
    if (rest.front() == '/') return errno = EXDEV, -1;
    if (rest.back() == '/') {
        if ((flags & O_CREAT) != 0) return errno = EISDIR, -1;
        flags |= O_DIRECTORY;
    }
    std::vector<std::string> parts;
    while (!rest.empty()) {
        auto end = std::min(rest.find('/'), rest.size());
        auto part = rest.substr(0, end);
        if (part == "..") return errno = EXDEV, -1;
        if (!part.empty() && part != ".") parts.emplace_back(part);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (parts.empty()) parts.emplace_back(".");
    Fd at;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        int parent = i == 0 ? folder : at.get();
        int next = open_part(parent, parts[i], O_PATH | O_DIRECTORY, 0);
        if (next < 0 && errno == ENOTDIR) errno = is_link(parent, parts[i]) ? ELOOP : ENOTDIR;
        if (next < 0) return -1;
        at = Fd(next);
    }
    return open_part(parts.size() == 1 ? folder : at.get(), parts.back(), flags, mode);
}

int open_beneath(int folder, const char* path, int flags, mode_t mode)
{
    struct open_how how = {};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW);
    if ((flags & O_CREAT) != 0) how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    while (true) {
        auto fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
        if (fd >= 0) return fd;
        if (errno == ENOSYS || errno == EPERM) return open_part_by_part(folder, path, flags, mode);
        if (errno != EINTR && errno != EAGAIN) return -1;
    }
}

} // namespace tidemark::base
