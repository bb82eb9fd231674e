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

constexpr std::size_t kReadLimit = 16U << 20;

} // namespace

TargetFolder::TargetFolder(fs::path path, std::optional<base::User> owner)
    : path_(std::move(path)), owner_(std::move(owner))
{
}

void TargetFolder::create() const
{
    if (path_.has_parent_path()) fs::create_directories(path_.parent_path());
    if (::mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) {
        throw base::system_error("cannot create " + path_.native(), errno);
    }
    if (owner_ && ::lchown(path_.c_str(), owner_->uid, owner_->gid) != 0) {
        throw base::system_error("cannot give away " + path_.native(), errno);
    }
}

void TargetFolder::require_usable() const
{
    struct stat info = {};
    if (::lstat(path_.c_str(), &info) != 0) {
        throw base::system_error("cannot examine " + path_.native(), errno);
    }
    if (!S_ISDIR(info.st_mode)) {
        throw Error{Code::member_not_ready, path_.native() + " is not a folder"};
    }
    auto wanted = owner_ ? owner_->uid : ::geteuid();
    if (info.st_uid != wanted) {
        auto name = owner_ ? owner_->name : std::to_string(wanted);
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

std::optional<std::string> TargetFolder::read(const std::string& name) const
{
    if (!exists(name)) return std::nullopt;
    base::FdSource source{base::open_file(path_ / name, O_RDONLY | O_NOFOLLOW), name};
    return std::string(base::as_text(base::read_all(source, kReadLimit)));
}

void TargetFolder::write(const std::string& name, std::string_view text) const
{
    auto final = path_ / name;
    auto temporary = final.native() + ".tidemark";
    ::unlink(temporary.c_str());
    {
        auto file = base::open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
        if (owner_ && ::fchown(file.get(), owner_->uid, owner_->gid) != 0) {
            throw base::system_error("cannot give away " + temporary, errno);
        }
        base::write_full(file.get(), base::as_bytes(text), temporary);
        base::fsync_fd(file.get(), temporary);
    }
    if (::rename(temporary.c_str(), final.c_str()) != 0) {
        throw base::system_error("cannot replace " + final.native(), errno);
    }
    sync();
}

void TargetFolder::remove(const std::string& name) const
{
    if (::unlink((path_ / name).c_str()) == 0) return sync();
    if (errno != ENOENT)
        throw base::system_error("cannot remove " + (path_ / name).native(), errno);
}

void TargetFolder::make_folder(const std::string& name) const
{
    auto folder = path_ / name;
    if (::mkdir(folder.c_str(), 0700) != 0) {
        if (errno == EEXIST) return;
        throw base::system_error("cannot create " + folder.native(), errno);
    }
    if (owner_ && ::lchown(folder.c_str(), owner_->uid, owner_->gid) != 0) {
        throw base::system_error("cannot give away " + folder.native(), errno);
    }
    sync();
}

void TargetFolder::set_aside(const std::string& name) const
{
    auto from = path_ / name;
    auto to = from.native() + ".from-backup";
    if (::rename(from.c_str(), to.c_str()) == 0) return sync();
    if (errno != ENOENT) throw base::system_error("cannot set aside " + from.native(), errno);
}

void TargetFolder::empty(const std::string& name) const
{
    auto folder = path_ / name;
    struct stat info = {};
    if (::lstat(folder.c_str(), &info) != 0) {
        if (errno == ENOENT) return;
        throw base::system_error("cannot examine " + folder.native(), errno);
    }
    if (!S_ISDIR(info.st_mode)) {
        throw Error{Code::failed,
                    folder.native() + " is not a folder: the target was tampered with"};
    }
    for (const auto& entry : fs::directory_iterator{folder})
        fs::remove_all(entry.path());
    base::fsync_directory(folder);
}

void TargetFolder::remove_links(const std::string& name) const
{
    auto folder = path_ / name;
    if (!exists(name)) return;
    for (const auto& entry : fs::directory_iterator{folder}) {
        if (entry.is_symlink()) fs::remove(entry.path());
    }
    base::fsync_directory(folder);
}

void TargetFolder::sync() const
{
    base::fsync_directory(path_);
}

} // namespace tidemark::engine::postgres
