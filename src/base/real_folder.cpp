#include "base/real_folder.h"

#include "base/check.h"
#include "base/open_beneath.h"

#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::base {

namespace fs = std::filesystem;

namespace {

constexpr int kMostLinks = 40; // as the kernel

/// Whose link it is, when `path` is one that we do not follow.
void require_trusted(const fs::path& path, uid_t owner)
{
    if (owner == 0 || owner == ::geteuid()) return;
    throw Error{
        Code::usage,
        fmt::format("{} is a link of another account, so it is not followed", path.native()),
        {.hint = "name the folder that it leads to"}};
}

} // namespace

Fd open_real_folder(const fs::path& path)
{
    CHECK(path.is_absolute());
    Fd top{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (top.get() < 0) throw system_error("cannot open /", errno);
    auto below = path.lexically_normal().relative_path();
    Fd fd{open_beneath(top.get(), below.empty() ? "." : below.c_str(), O_RDONLY | O_DIRECTORY)};
    if (fd.get() >= 0) return fd;
    if (errno == ELOOP || errno == ENOTDIR) {
        throw Error{Code::target_not_empty,
                    path.native() + " is not a folder, or a link leads there: it is left alone",
                    {.hint = "remove the link, or choose another folder"}};
    }
    throw system_error("cannot open " + path.native(), errno);
}

fs::path path_within(const Fd& folder, const std::string& name)
{
    return fs::path(fmt::format("/proc/self/fd/{}", folder.get())) / name;
}

fs::path resolve_links(const fs::path& path)
{
    auto whole = fs::absolute(path);
    std::deque<fs::path> ahead(whole.begin(), whole.end());
    fs::path done = "/";
    int links = 0;
    while (!ahead.empty()) {
        auto part = ahead.front();
        ahead.pop_front();
        if (part.empty() || part == "." || part == "/") continue;
        if (part == "..") {
            done = done.parent_path();
            continue;
        }
        struct stat info = {};
        auto next = done / part;
        if (::lstat(next.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) {
            done = next;
            continue;
        }
        require_trusted(next, info.st_uid);
        if (++links > kMostLinks) throw system_error("cannot follow " + path.native(), ELOOP);
        auto to = fs::read_symlink(next);
        if (to.is_absolute()) done = "/";
        ahead.insert(ahead.begin(), to.begin(), to.end());
    }
    return done;
}

void replace_file_in(const Fd& folder, const std::string& name, ByteView bytes,
                     std::string_view shown)
{
    auto failed = [&](const char* what) {
        return system_error(fmt::format("cannot {} {}", what, shown), errno);
    };
    auto temporary = name + ".new";
    ::unlinkat(folder.get(), temporary.c_str(), 0);
    Fd file{
        ::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!file) throw failed("create");
    write_full(file.get(), bytes, shown);
    fsync_fd(file.get(), shown);
    if (::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) != 0)
        throw failed("replace");
    fsync_fd(folder.get(), shown);
}

uid_t owner_of(const Fd& fd, std::string_view what)
{
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0)
        throw system_error(fmt::format("cannot examine {}", what), errno);
    return info.st_uid;
}

} // namespace tidemark::base
