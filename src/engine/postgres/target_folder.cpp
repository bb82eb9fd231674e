#include "engine/postgres/target_folder.h"

#include "base/error.h"
#include "base/fd.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Fd;

constexpr std::size_t kReadLimit = 16U << 20;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

} // namespace

TargetFolder::TargetFolder(fs::path path, std::optional<base::User> user, Of of)
    : path_(std::move(path)), user_(std::move(user)), of_(of)
{
}

void TargetFolder::fail(const char* what, const std::string& name, int error) const
{
    throw base::system_error(fmt::format("cannot {} {}", what, (path_ / name).native()), error);
}

Fd TargetFolder::open() const
{
    auto folder = base::open_real_folder(path_);
    auto wanted = gives_away() ? user_->uid : ::geteuid();
    struct stat info = {};
    if (::fstat(folder.get(), &info) != 0) fail("examine", "", errno);
    bool shared = user_ && of_ == Of::us && (info.st_mode & 0022U) != 0;
    if (info.st_uid == wanted && !shared) return folder;
    throw Error{
        Code::target_not_empty,
        fmt::format("{} belongs to another account than it shall, or others can write in it",
                    path_.native()),
        {.hint = "choose another folder"}};
}

void TargetFolder::create() const
{
    auto above = path_.parent_path();
    fs::create_directories(above);
    auto parent = base::open_real_folder(above);
    auto name = path_.filename();
    mode_t mode = of_ == Of::us && user_ ? 0711 : 0700;
    bool made = ::mkdirat(parent.get(), name.c_str(), mode) == 0;
    if (!made && errno != EEXIST) fail("create", "", errno);
    Fd folder{::openat(parent.get(), name.c_str(), kFolderFlags)};
    // Ours: just made, or by a run that was killed before it could give it away.
    if (folder && base::owner_of(folder, path_.native()) == ::geteuid()) {
        if (::fchmod(folder.get(), mode) != 0) fail("set the mode of", "", errno);
        if (gives_away() && ::fchown(folder.get(), user_->uid, user_->gid) != 0)
            fail("give away", "", errno);
    }
    if (made) base::fsync_fd(parent.get(), above.native());
    open();
}

void TargetFolder::require_usable() const
{
    auto folder = base::open_real_folder(path_);
    struct stat info = {};
    if (::fstat(folder.get(), &info) != 0) fail("examine", "", errno);
    auto wanted = gives_away() ? user_->uid : ::geteuid();
    if (info.st_uid != wanted) {
        auto name = gives_away() ? user_->name : std::to_string(wanted);
        throw Error{Code::member_not_ready,
                    fmt::format("{} does not belong to the server's user {}", path_.native(), name),
                    {.hint = fmt::format("chown -R {} {}", name, path_.native())}};
    }
    if ((info.st_mode & 0027U) != 0) {
        throw Error{
            Code::member_not_ready,
            fmt::format("others can enter or write {}, which the server refuses", path_.native()),
            {.hint = "chmod 0700 " + path_.native()}};
    }
}

bool TargetFolder::exists(const std::string& name) const
{
    struct stat info = {};
    return ::lstat((path_ / name).c_str(), &info) == 0;
}

bool TargetFolder::is_file(const std::string& name) const
{
    struct stat info = {};
    return ::lstat((path_ / name).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::optional<std::string> TargetFolder::read(const std::string& name) const
{
    if (!exists(name)) return std::nullopt;
    if (auto slash = name.rfind('/'); slash != std::string::npos)
        return TargetFolder{path_ / name.substr(0, slash), user_, of_}.read(name.substr(slash + 1));
    auto folder = open();
    base::FdSource source{base::open_file(base::path_within(folder, name), O_RDONLY | O_NOFOLLOW),
                          (path_ / name).native()};
    return std::string(base::as_text(base::read_all(source, kReadLimit)));
}

void TargetFolder::write(const std::string& name, std::string_view text) const
{
    if (auto slash = name.rfind('/'); slash != std::string::npos) {
        TargetFolder below{path_ / name.substr(0, slash), user_, of_};
        return below.write(name.substr(slash + 1), text);
    }
    auto folder = open();
    auto temporary = name + ".tidemark";
    ::unlinkat(folder.get(), temporary.c_str(), 0);
    Fd file{::openat(folder.get(), temporary.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) fail("create", temporary, errno);
    if (gives_away() && ::fchown(file.get(), user_->uid, user_->gid) != 0)
        fail("give away", temporary, errno);
    // Ours: the server only reads it.
    if (user_ && of_ == Of::us &&
        (::fchown(file.get(), ::geteuid(), user_->gid) != 0 || ::fchmod(file.get(), 0640) != 0))
        fail("let the server read", temporary, errno);
    base::write_full(file.get(), base::as_bytes(text), (path_ / temporary).native());
    base::fsync_fd(file.get(), (path_ / temporary).native());
    if (::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) != 0)
        fail("replace", name, errno);
    base::fsync_fd(folder.get(), path_.native());
}

void TargetFolder::remove(const std::string& name) const
{
    auto folder = open();
    if (::unlinkat(folder.get(), name.c_str(), 0) == 0)
        return base::fsync_fd(folder.get(), path_.native());
    if (errno != ENOENT) fail("remove", name, errno);
}

void TargetFolder::make_folder(const std::string& name) const
{
    if (exists(name)) return;
    TargetFolder{path_ / name, user_, of_}.create();
}

void TargetFolder::rename(const std::string& name, const std::string& to) const
{
    if (auto slash = name.rfind('/'); slash != std::string::npos) {
        TargetFolder below{path_ / name.substr(0, slash), user_, of_};
        return below.rename(name.substr(slash + 1), to.substr(slash + 1));
    }
    auto folder = open();
    if (::renameat(folder.get(), name.c_str(), folder.get(), to.c_str()) != 0)
        fail("rename", name, errno);
    base::fsync_fd(folder.get(), path_.native());
}

void TargetFolder::set_aside(const std::string& name) const
{
    auto folder = open();
    auto to = name + ".from-backup";
    if (exists(name)) remove(to + ".original");
    if (::renameat(folder.get(), name.c_str(), folder.get(), to.c_str()) == 0)
        return base::fsync_fd(folder.get(), path_.native());
    if (errno != ENOENT) fail("set aside", name, errno);
}

void TargetFolder::empty(const std::string& name) const
{
    auto above = open();
    Fd folder{::openat(above.get(), name.c_str(), kFolderFlags)};
    if (!folder && errno == ENOENT) return;
    if (!folder && (errno == ENOTDIR || errno == ELOOP)) {
        throw Error{Code::failed,
                    (path_ / name).native() + " is not a folder: the target was tampered with"};
    }
    if (!folder) fail("open", name, errno);
    for (const auto& entry : fs::directory_iterator{base::path_within(folder)})
        fs::remove_all(entry.path());
    base::fsync_fd(folder.get(), (path_ / name).native());
}

void TargetFolder::remove_links(const std::string& name) const
{
    auto above = open();
    Fd folder{::openat(above.get(), name.c_str(), kFolderFlags)};
    if (!folder) return;
    for (const auto& entry : fs::directory_iterator{base::path_within(folder)}) {
        if (entry.is_symlink()) fs::remove(entry.path());
    }
    base::fsync_fd(folder.get(), (path_ / name).native());
}

} // namespace tidemark::engine::postgres
